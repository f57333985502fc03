/**
 * Arguments with which tests run a program of the project on Deno, in a process of its own: flags and
 * the path of the program follow.
 *
 * The packages are installed once, by the runner. A program that installs them itself, as a user's
 * does by `deno.json`, takes 0.1 s of processor time for it, waits for others that do the same, and
 * says so on its standard error.
 */
export const DENO_RUN: readonly string[] = ["run", "-A", "--no-check", "--node-modules-dir=manual"];
