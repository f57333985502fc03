/**
 * Exit codes of the command line, by class of error, so that a script can distinguish its own
 * mistake, an empty answer and an unreachable registry. The numbers are a stable interface.
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
  // For a script, a conflict with another caller is a request that must be changed.
  conflict: EXIT_CODES.caller,
  not_found: EXIT_CODES.notFound,
  unavailable: EXIT_CODES.unavailable,
};

/** Returns the exit code of an error code. */
export function exitCodeOf(code: ErrorCode): number {
  return CODE_OF_CLASS[ERROR_TABLE[code].class];
}
