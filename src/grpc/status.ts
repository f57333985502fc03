/**
 * The outcome of a call: a status code of gRPC, a text, and details. The table maps the registry's
 * codes to those of gRPC; `google.rpc.ErrorInfo` keeps the registry's own code, which is finer, and
 * `google.rpc.RetryInfo` says when a retry is worthwhile.
 *
 * Source: gRPC over HTTP/2 (doc/PROTOCOL-HTTP2.md), the trailers `grpc-status`, `grpc-message` and
 * `grpc-status-details-bin`.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../schemas/proto/gen/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "../../schemas/proto/gen/google/rpc/status_pb.ts";
import { encodeBase64 } from "../base/base64.ts";
import { ERROR_TABLE, type ErrorCode, RegistryError, toRegistryError } from "../base/errors.ts";
import { GRPC_RETRY_AFTER_MS, GRPC_STATUS_TEXT_BYTES_MAX } from "../base/limits.ts";

/** The status codes of gRPC by their names. */
export const GRPC_CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** The name of a status code. */
export type GrpcCode = keyof typeof GRPC_CODES;

/** The status code of each of the registry's codes. */
export const CODES_OF_ERRORS: Readonly<Record<ErrorCode, GrpcCode>> = {
  malformed: "INVALID_ARGUMENT",
  too_large: "RESOURCE_EXHAUSTED",
  invalid_argument: "INVALID_ARGUMENT",
  unknown_operation: "UNIMPLEMENTED",
  unsupported_version: "INVALID_ARGUMENT",
  unauthenticated: "UNAUTHENTICATED",
  permission_denied: "PERMISSION_DENIED",
  wrong_cluster: "INVALID_ARGUMENT",
  not_found: "NOT_FOUND",
  superseded: "ABORTED",
  stale_sequence: "ABORTED",
  incarnation_mismatch: "ABORTED",
  domain_taken: "ALREADY_EXISTS",
  claim_revoked: "ABORTED",
  deadline_exceeded: "DEADLINE_EXCEEDED",
  overloaded: "RESOURCE_EXHAUSTED",
  storage_unavailable: "UNAVAILABLE",
  not_leader: "UNAVAILABLE",
  not_replica: "UNAVAILABLE",
  too_stale: "UNAVAILABLE",
  shutting_down: "UNAVAILABLE",
  connection_lost: "UNAVAILABLE",
  canceled: "CANCELLED",
  corrupt: "DATA_LOSS",
  locked: "FAILED_PRECONDITION",
  invalid_configuration: "FAILED_PRECONDITION",
  tls_failed: "UNAVAILABLE",
  internal: "INTERNAL",
  history_lost: "OUT_OF_RANGE",
  not_caught_up: "UNAVAILABLE",
  foreign_region: "FAILED_PRECONDITION",
  stale_version: "ABORTED",
  no_quorum: "FAILED_PRECONDITION",
  bad_signature: "INVALID_ARGUMENT",
  frozen: "FAILED_PRECONDITION",
  // The node forgot a delegation that the client of this face opens again.
  unknown_delegation: "UNAVAILABLE",
};

/** The domain of `ErrorInfo`: whose reasons they are. */
export const ERROR_DOMAIN = "registry.agnistack";

/** An error that is only of gRPC, such as an unknown method. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";
  readonly code: GrpcCode;

  constructor(code: GrpcCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The file that describes the details of errors. */
export const ERROR_DETAILS = ErrorInfoSchema.file;

/** How a call ended. */
export interface GrpcStatus {
  readonly code: GrpcCode;
  readonly message: string;
  /** The registry's error; absent: it succeeded, or the refusal is only of gRPC. */
  readonly error?: RegistryError;
}

/** The status of a call that succeeded. */
export const OK: GrpcStatus = { code: "OK", message: "" };

/** Returns the status of any error. A bug's message is not shown to the caller. */
export function statusOf(thrown: unknown): GrpcStatus {
  if (thrown instanceof GrpcError) return { code: thrown.code, message: thrown.message };
  const error = toRegistryError(thrown);
  const message = thrown instanceof RegistryError ? error.message : "internal error";
  return { code: CODES_OF_ERRORS[error.code], message, error };
}

/** Returns the trailers of a status. */
export function trailersOf(status: GrpcStatus): Record<string, string> {
  if (status.code === "OK") return OK_TRAILERS;
  const message = messageOf(status);
  // Without padding, as the values of binary metadata are sent.
  const details = encodeBase64(toBinary(StatusSchema, message)).replace(/=+$/, "");
  return {
    "grpc-status": String(message.code),
    "grpc-message": percentEncoded(message.message),
    "grpc-status-details-bin": details,
  };
}

/** Returns any error as a part of an answer, with the details that trailers would have. */
export function statusMessageOf(thrown: unknown): Status {
  return messageOf(statusOf(thrown));
}

function messageOf({ code, message, error }: GrpcStatus): Status {
  const details = error === undefined ? [refusalInfo(code)] : detailsOf(error);
  return create(StatusSchema, { code: GRPC_CODES[code], message: shortened(message), details });
}

/** Returns the detail of a refusal that is only of gRPC: its reason is the status code. */
function refusalInfo(code: GrpcCode) {
  return anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: code, domain: ERROR_DOMAIN }));
}

const OK_TRAILERS = { "grpc-status": "0" };

function detailsOf({ code, fields }: RegistryError) {
  const { field, homeRegion, cacheMs, incarnation } = fields;
  const metadata: Record<string, string> = {};
  if (field !== undefined) metadata["field"] = field;
  if (homeRegion !== undefined) metadata["homeRegion"] = homeRegion;
  if (cacheMs !== undefined) metadata["cacheMs"] = String(cacheMs);
  if (incarnation !== undefined) {
    metadata["incarnation"] = `${incarnation.generation}.${incarnation.index}`;
  }
  const reason = code.toUpperCase();
  const info = create(ErrorInfoSchema, { reason, domain: ERROR_DOMAIN, metadata });
  const details = [anyPack(ErrorInfoSchema, info)];
  const retryMs = fields.retryAfterMs ?? (isWorthRetry(code) ? GRPC_RETRY_AFTER_MS : undefined);
  if (retryMs !== undefined) {
    const retry = create(RetryInfoSchema, { retryDelay: durationFromMs(retryMs) });
    details.push(anyPack(RetryInfoSchema, retry));
  }
  return details;
}

/** Reports whether the same request may succeed later, and did nothing before. */
function isWorthRetry(code: ErrorCode): boolean {
  const { class: errorClass, unapplied } = ERROR_TABLE[code];
  return errorClass === "unavailable" && unapplied;
}

const encoder = new TextEncoder();

function shortened(message: string): string {
  const bytes = encoder.encode(message);
  if (bytes.length <= GRPC_STATUS_TEXT_BYTES_MAX) return message;
  // A character that is cut in two is left out.
  const cut = new TextDecoder().decode(bytes.subarray(0, GRPC_STATUS_TEXT_BYTES_MAX));
  return cut.replace(/\uFFFD+$/, "");
}

/** Returns text as `grpc-message` has it: UTF-8, all but printable ASCII and `%` escaped. */
function percentEncoded(text: string): string {
  let encoded = "";
  for (const byte of encoder.encode(text)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
