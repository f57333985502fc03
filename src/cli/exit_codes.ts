/**
 * How the command line ends: the exit code of a process by the class of the error, so that a script
 * can tell a mistake of its own from an empty answer and from a registry that cannot be reached.
 * The numbers are stable interface.
 */
import { ERROR_TABLE, type ErrorClass, type ErrorCode } from "../base/errors.ts";

/** Exit codes, as `crs --help` lists them. */
export const EXIT_CODES = {
  success: 0,
  internal: 1,
  caller: 2,
  notFound: 3,
  unavailable: 4,
} as const;

const CODE_OF_CLASS: Readonly<Record<ErrorClass, number>> = {
  internal: EXIT_CODES.internal,
  caller: EXIT_CODES.caller,
  // What another caller did first is, for a script, a request that must be changed.
  conflict: EXIT_CODES.caller,
  not_found: EXIT_CODES.notFound,
  unavailable: EXIT_CODES.unavailable,
};

/** The exit code that tells of an error. */
export function exitCodeOf(code: ErrorCode): number {
  return CODE_OF_CLASS[ERROR_TABLE[code].class];
}
