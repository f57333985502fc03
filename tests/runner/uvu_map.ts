/**
 * Returns an import map, as a URL, that replaces uvu by the module at `url` everywhere except in that
 * module. `manifest` is the content of package.json.
 */
export function uvuReplacedBy(
  url: string,
  manifest: { readonly devDependencies: Readonly<Record<string, string>> },
): string {
  const uvu = `npm:uvu@${manifest.devDependencies["uvu"]}`;
  const map = { imports: { uvu: url }, scopes: { [url]: { uvu } } };
  return `data:application/json,${encodeURIComponent(JSON.stringify(map))}`;
}
