/**
 * Tokens from where other users of the machine do not see them: a file, standard input, a variable.
 * An argument works too, but every local user can read it while the command runs.
 */
import { usageFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** The ways in which a token may be given; the first three exclude each other. */
export interface TokenGiven {
  /** What the token is called in messages. */
  readonly noun: string;
  /** The flag that takes the token itself; its file's flag has `-file` at its end. */
  readonly flag: string;
  /** The variable that has it where no flag does. */
  readonly variable: string;
  /** What the flag was given. */
  readonly text: string | undefined;
  /** What the flag of a file was given; `-` is standard input. */
  readonly file: string | undefined;
}

/** The variable of the access token that sessions show. */
export const USE_TOKEN_VARIABLE = "CRS_USE_TOKEN";
/** The variable of the token that buys a first certificate. */
export const JOIN_TOKEN_VARIABLE = "CRS_JOIN_TOKEN";

/**
 * Returns the token, without spaces around it; `undefined` where none is given.
 *
 * @throws CliFailure `invalid_argument` where two are given, where the file cannot be read, or where
 * what it holds is no token.
 */
export function tokenGiven(
  { noun, flag, variable, text, file }: TokenGiven,
  terminal: Pick<Terminal, "environment" | "readText">,
): string | undefined {
  if (text !== undefined && file !== undefined) {
    throw usageFailure(
      `Only one ${noun} can be taken: ${flag} and ${flag}-file are given`,
      `Leave ${flag} away.`,
      flag.replace(/^--/, ""),
    );
  }
  const [source, given] = file !== undefined
    ? [`${flag}-file ${file}`, terminal.readText(file)]
    : text !== undefined
    ? [flag, text]
    : [variable, terminal.environment[variable] || undefined];
  if (given === undefined) return undefined;
  const token = given.trim();
  // What it is instead is not shown: it may be another secret.
  if (/^[!-~]+$/.test(token)) return token;
  throw usageFailure(
    `${source} must give one ${noun}, a line without spaces: found ` +
      (token === "" ? "nothing" : "something else"),
    `Put the ${noun} into a file alone, or give it on standard input by ${flag}-file -.`,
    flag.replace(/^--/, ""),
  );
}
