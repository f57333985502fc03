/** Names and comments of generated code. */

/** Returns the class name of a struct's flyweight. */
export function viewName(struct: string): string {
  return `${struct}View`;
}

/** Returns the constant name of a struct's codec. */
export function codecName(struct: string): string {
  return `${struct[0]!.toLowerCase()}${struct.slice(1)}Codec`;
}

/** Returns the beginning of the names of an enum's constants: `BAN_KIND` for `BanKind`. */
export function constantName(name: string): string {
  return name.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toUpperCase();
}

/** Returns `name` with a capital first letter. */
export function capital(name: string): string {
  return name[0]!.toUpperCase() + name.slice(1);
}

/** Returns the name of a group's member in a view, where groups are flattened. */
export function joinName(prefix: string, name: string): string {
  return prefix === "" ? name : prefix + capital(name);
}

/** Returns a doc comment of `lines`. */
export function comment(lines: readonly string[], indent: string): string {
  const safe = lines.map((line) => line.trimEnd().replaceAll("*/", "* /"));
  if (safe.length === 1) return `${indent}/** ${safe[0]} */\n`;
  return [
    `${indent}/**`,
    ...safe.map((line) => (line === "" ? `${indent} *` : `${indent} * ${line}`)),
    `${indent} */`,
    "",
  ].join("\n");
}
