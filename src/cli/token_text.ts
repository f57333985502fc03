/**
 * Reads tokens from sources that other users of the machine cannot see: a file, standard input, a
 * variable. An argument works too, but every local user can read it while the command runs.
 */
import { usageFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/**
 * The possible sources of a token. The flag and its file flag exclude each other; the variable is
 * used if neither is given.
 */
export interface TokenGiven {
  /** Name of the token in messages. */
  readonly noun: string;
  /** Flag that takes the token itself; the flag of its file has the suffix `-file`. */
  readonly flag: string;
  /** Whether the command takes the token itself as an argument, and has no such flag. */
  readonly isArgument?: boolean;
  /** Environment variable used if no flag is given. */
  readonly variable: string;
  /** Value of the flag or argument. */
  readonly text: string | undefined;
  /** Value of the file flag; `-` is standard input. */
  readonly file: string | undefined;
}

/** Environment variable of the access token presented on sessions. */
export const USE_TOKEN_VARIABLE = "CRS_USE_TOKEN";
/** Environment variable of the join token for a first certificate. */
export const JOIN_TOKEN_VARIABLE = "CRS_JOIN_TOKEN";
/** Environment variable of the capability that a command reads. */
export const CAPABILITY_VARIABLE = "CRS_CAPABILITY";
/** Environment variable of the token to be verified. */
export const VERIFY_TOKEN_VARIABLE = "CRS_VERIFY_TOKEN";

/**
 * Returns the token without surrounding spaces; `undefined` if none is given.
 *
 * @throws CliFailure `invalid_argument` if two are given, if the file cannot be read, or if its
 * content is not a token.
 */
export function tokenGiven(
  { noun, flag, isArgument = false, variable, text, file }: TokenGiven,
  terminal: Pick<Terminal, "environment" | "readText">,
): string | undefined {
  const direct = isArgument ? "the argument" : flag;
  if (text !== undefined && file !== undefined) {
    throw usageFailure(
      `Only one ${noun} can be given: found both ${direct} and ${flag}-file`,
      `Omit ${direct}.`,
      flag.replace(/^--/, ""),
    );
  }
  const [source, given] = file !== undefined
    ? [`${flag}-file ${file}`, terminal.readText(file)]
    : text !== undefined
    ? [direct, text]
    : [variable, terminal.environment[variable] || undefined];
  if (given === undefined) return undefined;
  const token = given.trim();
  // The content is not shown, because it may be another secret.
  if (/^[!-~]+$/.test(token)) return token;
  throw usageFailure(
    `${source} must contain one ${noun}, a line without spaces: found ` +
      (token === "" ? "nothing" : "something else"),
    `Put only the ${noun} into the file, or pass it on standard input with ${flag}-file -.`,
    flag.replace(/^--/, ""),
  );
}

/**
 * Returns the token that a command needs, from its argument, of which `-` is standard input, or from the
 * other sources.
 *
 * @throws CliFailure `invalid_argument` if none is given, and as {@link tokenGiven}.
 */
export function tokenNeeded(
  given: Omit<TokenGiven, "isArgument">,
  terminal: Pick<Terminal, "environment" | "readText">,
): string {
  const { noun, flag, variable, text, file } = given;
  const isInput = text === "-" && file === undefined;
  const token = tokenGiven({
    ...given,
    ...(isInput ? { text: undefined, file: "-" } : {}),
    isArgument: true,
  }, terminal);
  if (token !== undefined) return token;
  throw usageFailure(
    `A ${noun} is needed: found none`,
    `Pass it with ${flag}-file (- is standard input) or by ${variable}.`,
    flag.replace(/^--/, ""),
  );
}
