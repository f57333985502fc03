/**
 * How this person runs the command line, so that what is printed can be typed as it is: with Deno
 * installed, or through npx on a machine that has only Node.js and npm.
 */

/** The version of Deno that the project is run with through npx (README). */
const DENO_PACKAGE = "deno@2.9.6";

/** What stands before a command: `deno task crs`, or the same through npx. */
export function invocation(environment: Readonly<Record<string, string | undefined>>): string {
  const isNpx = environment["npm_command"] === "exec" ||
    environment["npm_lifecycle_event"] === "npx";
  return isNpx ? `npx -y ${DENO_PACKAGE} task crs` : "deno task crs";
}
