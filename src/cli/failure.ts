/**
 * Errors as the command line tells them: the code, what was wrong, what to do. For people three
 * short lines on standard error; with `--json` also one document on standard output, so that a
 * script reads exactly one document there whether a command succeeded or not.
 */
import {
  ERROR_TABLE,
  type ErrorCode,
  type ErrorFields,
  RegistryError,
  toRegistryError,
} from "../base/errors.ts";
import { systemAdvice } from "../base/system_error.ts";

/** An error whose remedy is known better here than in the table of codes. */
export class CliFailure extends RegistryError {
  /** What to do about it: whole sentences. */
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

/** A mistake in what was typed or in a file of input. */
export function usageFailure(message: string, advice: string, field?: string): CliFailure {
  return new CliFailure("invalid_argument", message, {
    advice,
    ...(field === undefined ? {} : { fields: { field } }),
  });
}

/**
 * Any error with the code of its class; a `CliFailure` stays itself, its advice included. What the
 * file system refused is no bug of ours.
 */
export function toFailure(error: unknown): RegistryError {
  const failure = toRegistryError(error);
  return failure.code === "internal" && systemAdvice(failure.cause) !== undefined
    ? new RegistryError("storage_unavailable", failure.message, {}, failure.cause)
    : failure;
}

/** What to do about an error. */
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

/** The error for people, with its final newline. A bug (`internal`) shows where it happened. */
export function failureText(error: RegistryError): string {
  let text = `error: ${error.code}\n  ${indented(error.message)}\n  ${indented(adviceOf(error))}\n`;
  const cause = error.code === "internal" && error.cause instanceof Error ? error.cause : undefined;
  if (cause?.stack !== undefined) text += `  ${indented(cause.stack)}\n`;
  return text;
}

/** The error as a document: `{"error": {"code", "class", "message", "advice", …fields}}`. */
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
