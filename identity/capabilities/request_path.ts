/**
 * Paths of HTTP requests as caveats compare them: by whole segments after percent decoding, so that
 * no spelling of a path passes for another one. A path that can be read in two ways matches nothing.
 */

/** Reports whether a text is a path that a caveat may name: plain, without an end slash. */
export function isCaveatPath(text: string): boolean {
  return /^(\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+$/.test(text) && segmentsOf(text) !== undefined;
}

/** Reports whether the request's path is that of the caveat, or below it. */
export function isWithin(requestPath: string, caveatPath: string): boolean {
  const request = segmentsOf(requestPath);
  const permitted = segmentsOf(caveatPath);
  if (request === undefined || permitted === undefined) return false;
  return permitted.every((segment, index) => segment === request[index]);
}

/** Returns the decoded segments of a path; `undefined` if it can be read in two ways. */
function segmentsOf(path: string): readonly string[] | undefined {
  if (!path.startsWith("/") || /[^!-~]|[?#\\]/.test(path)) return undefined;
  const segments: string[] = [];
  for (const raw of path.slice(1).split("/")) {
    const segment = decoded(raw);
    if (segment === undefined || ["", ".", ".."].includes(segment)) return undefined;
    // deno-lint-ignore no-control-regex -- a control character ends a path for some servers.
    if (/[/\\%\x00-\x1f\x7f]/.test(segment)) return undefined;
    segments.push(segment);
  }
  return segments;
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    // decodeURIComponent() throws for an incomplete sequence.
    return undefined;
  }
}
