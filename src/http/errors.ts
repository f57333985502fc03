/**
 * Errors over HTTP: one envelope, a closed set of statuses and names, and the table that maps the
 * registry's codes to them. `reason` keeps the registry's own code, which is finer.
 */
import {
  ERROR_TABLE,
  type ErrorCode,
  type ErrorFields,
  RegistryError,
  toRegistryError,
} from "../base/errors.ts";
import { HTTP_HEADER_BYTES_MAX, HTTP_RETRY_AFTER_MS } from "../base/limits.ts";

/** The statuses of errors by the name that the envelope has as its `code`. */
export const ERROR_STATUSES = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  StaleVersion: 409,
  NoQuorum: 412,
  PayloadTooLarge: 413,
  UnsupportedMediaType: 415,
  BadSignature: 422,
  WriteRateLimited: 429,
  HeadTooLarge: 431,
  StoreUnavailable: 503,
} as const;

/** The name of an error in the envelope. */
export type ErrorName = keyof typeof ERROR_STATUSES;

/** The name of each of the registry's codes. */
export const ERROR_NAMES: Readonly<Record<ErrorCode, ErrorName>> = {
  malformed: "BadRequest",
  too_large: "PayloadTooLarge",
  invalid_argument: "BadRequest",
  // The node is of another version than this face.
  unknown_operation: "StoreUnavailable",
  // A token of a watch that no version of this program made.
  unsupported_version: "BadRequest",
  unauthenticated: "Unauthorized",
  permission_denied: "Forbidden",
  // A token of a watch or a cursor of another cluster.
  wrong_cluster: "BadRequest",
  not_found: "NotFound",
  superseded: "StaleVersion",
  stale_sequence: "StaleVersion",
  incarnation_mismatch: "StaleVersion",
  domain_taken: "StaleVersion",
  claim_revoked: "StaleVersion",
  deadline_exceeded: "StoreUnavailable",
  overloaded: "WriteRateLimited",
  storage_unavailable: "StoreUnavailable",
  not_leader: "StoreUnavailable",
  not_replica: "StoreUnavailable",
  too_stale: "StoreUnavailable",
  shutting_down: "StoreUnavailable",
  connection_lost: "StoreUnavailable",
  canceled: "StoreUnavailable",
  corrupt: "StoreUnavailable",
  locked: "StoreUnavailable",
  invalid_configuration: "StoreUnavailable",
  tls_failed: "StoreUnavailable",
  internal: "StoreUnavailable",
  history_lost: "StaleVersion",
  not_caught_up: "StoreUnavailable",
  foreign_region: "StaleVersion",
  stale_version: "StaleVersion",
  no_quorum: "NoQuorum",
  bad_signature: "BadSignature",
  frozen: "StaleVersion",
  // The node forgot a delegation that the client of this face opens again.
  unknown_delegation: "StoreUnavailable",
};

/** Hints that differ from the advice of the registry's table, which names its own commands. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  unsupported_version: "Send a token that this registry gave, or none.",
  unauthenticated: "Send a bearer token that is valid now, or present a client certificate.",
  incarnation_mismatch: "Read the record, then send its incarnation as If-Match.",
  wrong_cluster: "Send a token or cursor of this cluster, or none.",
  history_lost: "The cluster was restored: list again, or watch without Last-Event-ID.",
  foreign_region: "Send it to the region that it belongs to.",
  not_replica: "Try again after Retry-After.",
  canceled: "Send the request again.",
  unknown_delegation: "Send the request again.",
  overloaded: "Wait as long as Retry-After says, then try again.",
};

/** An error as the envelope states it. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly code: ErrorName;
  readonly hint: string;
  readonly retryable: boolean;
  /** The registry's code; `undefined` if this face refused the request by itself. */
  readonly reason: ErrorCode | undefined;
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorName, message: string, options: {
    readonly hint: string;
    readonly retryable?: boolean;
    readonly reason?: ErrorCode;
    readonly headers?: Readonly<Record<string, string>>;
    readonly cause?: unknown;
  }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
    this.reason = options.reason;
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return ERROR_STATUSES[this.code];
  }
}

/** Returns the refusal of a request that does not fit its description. */
export function badRequest(message: string, hint: string): HttpError {
  return new HttpError("BadRequest", message, { hint });
}

/** Returns the refusal of a request whose head is too large to be read. */
export function headTooLarge(): HttpError {
  const message =
    `The request line and the headers must have at most ${HTTP_HEADER_BYTES_MAX} bytes`;
  return new HttpError("HeadTooLarge", message, {
    hint: "Send fewer or shorter headers, or a shorter query.",
  });
}

/** Returns the refusal of a request for which this face has no room. */
export function noRoom(message: string): HttpError {
  return new HttpError("StoreUnavailable", message, {
    hint: "Try again later, or ask another front.",
    retryable: true,
    headers: { "retry-after": secondsText(HTTP_RETRY_AFTER_MS) },
  });
}

/** Returns the refusal of a request for a path that no route has. */
export function noRoute(): HttpError {
  return new HttpError("NotFound", "There is nothing at this path", {
    hint: "GET /docs lists all paths.",
  });
}

/** Returns the refusal of a method. @param allowed those that the path has. */
export function otherMethod(allowed: readonly string[]): HttpError {
  const allow = (allowed.includes("GET") ? [...allowed, "HEAD"] : allowed).join(", ");
  return new HttpError("MethodNotAllowed", `The method must be one of ${allow}`, {
    hint: "GET /openapi.json lists the methods of each path.",
    headers: { allow },
  });
}

/** Returns any error as one of this face. A bug's message is not shown to the caller. */
export function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const failure = toRegistryError(error);
  const { code, fields } = failure;
  const isBug = !(error instanceof RegistryError);
  const name = ERROR_NAMES[code];
  const retryable = ERROR_TABLE[code].class === "unavailable";
  return new HttpError(
    name,
    isBug ? "The request failed by a fault of the front" : failure.message,
    {
      hint: HINTS[code] ?? ERROR_TABLE[code].advice,
      retryable,
      reason: code,
      headers: headersOf(name, fields),
      cause: failure,
    },
  );
}

function headersOf(name: ErrorName, fields: ErrorFields): Record<string, string> {
  const headers: Record<string, string> = {};
  if (name === "StoreUnavailable" || name === "WriteRateLimited") {
    headers["retry-after"] = secondsText(fields.retryAfterMs ?? HTTP_RETRY_AFTER_MS);
  }
  if (name === "Unauthorized") headers["www-authenticate"] = 'Bearer realm="registry"';
  if (fields.incarnation !== undefined) {
    headers["etag"] = `"${fields.incarnation.generation}.${fields.incarnation.index}"`;
  }
  return headers;
}

function secondsText(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)));
}

/** The place of an error in time and among requests. */
export interface ErrorPlace {
  readonly requestId: string;
  /** Unix ms. */
  readonly nowMs: number;
}

/** Returns the envelope of an error. */
export function errorEnvelope(error: HttpError, { requestId, nowMs }: ErrorPlace) {
  const { code, message, hint, retryable, reason } = error;
  return {
    error: {
      code,
      message,
      hint,
      retryable,
      ts: new Date(nowMs).toISOString(),
      request_id: requestId,
      ...(reason === undefined ? {} : { reason }),
    },
  };
}
