/**
 * The way the user runs the command line, so that printed commands can be typed as shown: with Deno
 * installed, or through npx on a machine that has only Node.js and npm.
 */

/** The Deno package used through npx (README). */
const DENO_PACKAGE = "deno@2.9.6";

/** Returns the prefix of a command: `deno task crs`, or the same through npx. */
export function invocation(environment: Readonly<Record<string, string | undefined>>): string {
  const isNpx = environment["npm_command"] === "exec" ||
    environment["npm_lifecycle_event"] === "npx";
  return isNpx ? `npx -y ${DENO_PACKAGE} task crs` : "deno task crs";
}

/** Returns the prefix of the command that starts a node: `deno task start`, or through npx. */
export function startInvocation(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return invocation(environment).replace(/ crs$/, " start");
}

/** Quotes a path for a shell. */
export function shellWord(text: string): string {
  return /^[\w./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
