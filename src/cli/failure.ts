/**
 * Errors as the command line prints them: the code, the problem, the remedy. People get three short
 * lines on standard error. With `--json` there is also one document on standard output, so that a
 * script reads exactly one document there whether or not the command succeeded.
 */
import {
  ERROR_TABLE,
  type ErrorCode,
  type ErrorFields,
  RegistryError,
  toRegistryError,
} from "../base/errors.ts";
import { systemAdvice } from "../base/system_error.ts";

/** An error with more specific advice than that of the table of codes. */
export class CliFailure extends RegistryError {
  /** Advice in whole sentences. */
  readonly advice: string;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly advice: string; readonly fields?: ErrorFields; readonly cause?: unknown },
  ) {
    super(code, message, options.fields, options.cause);
    this.advice = options.advice;
  }
}

/** Returns an error for a mistake in the arguments or in an input file. */
export function usageFailure(message: string, advice: string, field?: string): CliFailure {
  return new CliFailure("invalid_argument", message, {
    advice,
    ...(field === undefined ? {} : { fields: { field } }),
  });
}

/**
 * Converts any error to a RegistryError. A `CliFailure` is returned unchanged, with its advice.
 * Errors of the file system become `storage_unavailable` instead of `internal`.
 */
export function toFailure(error: unknown): RegistryError {
  const failure = toRegistryError(error);
  return failure.code === "internal" && systemAdvice(failure.cause) !== undefined
    ? new RegistryError("storage_unavailable", failure.message, {}, failure.cause)
    : failure;
}

/** Returns the advice for an error. */
export function adviceOf(error: RegistryError): string {
  if (error instanceof CliFailure) return error.advice;
  const local = error.code === "storage_unavailable" ? systemAdvice(error.cause) : undefined;
  if (local !== undefined) return `${local.charAt(0).toUpperCase()}${local.slice(1)}.`;
  const { retryAfterMs } = error.fields;
  const advice = ERROR_TABLE[error.code].advice;
  return retryAfterMs === undefined
    ? advice
    : advice.replace("retryAfterMs", `${Math.ceil(retryAfterMs)} ms`);
}

/** Formats an error for people, with a final newline. A bug (`internal`) includes its stack. */
export function failureText(error: RegistryError): string {
  let text = `error: ${error.code}\n  ${indented(error.message)}\n  ${indented(adviceOf(error))}\n`;
  const cause = error.code === "internal" && error.cause instanceof Error ? error.cause : undefined;
  if (cause?.stack !== undefined) text += `  ${indented(cause.stack)}\n`;
  return text;
}

/**
 * Returns the error as a document: `{"error": {"code", "class", "message", "advice", …fields}}`.
 */
export function failureJson(error: RegistryError): unknown {
  return {
    error: {
      code: error.code,
      class: ERROR_TABLE[error.code].class,
      message: error.message,
      advice: adviceOf(error),
      ...error.fields,
    },
  };
}

function indented(text: string): string {
  return text.replaceAll("\n", "\n  ");
}
