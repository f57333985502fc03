/**
 * The closed set of error codes, and the error type that carries them.
 *
 * Codes are a stable interface: a code keeps its name and wire number for ever, a new code takes
 * the next free number, and number 0 is success. Everything that maps a code to something else (the
 * wire, the exit code of the command line, a retry) reads {@link ERROR_TABLE}.
 */
import type { Position } from "./position.ts";

/** The class of an error code; it determines the exit code of the command line. */
export type ErrorClass = "caller" | "not_found" | "conflict" | "unavailable" | "internal";

/** An error code of the closed set. */
export type ErrorCode =
  | "malformed"
  | "too_large"
  | "invalid_argument"
  | "unknown_operation"
  | "unsupported_version"
  | "unauthenticated"
  | "permission_denied"
  | "wrong_cluster"
  | "not_found"
  | "superseded"
  | "stale_sequence"
  | "incarnation_mismatch"
  | "domain_taken"
  | "claim_revoked"
  | "deadline_exceeded"
  | "overloaded"
  | "storage_unavailable"
  | "not_leader"
  | "not_replica"
  | "too_stale"
  | "shutting_down"
  | "connection_lost"
  | "canceled"
  | "corrupt"
  | "locked"
  | "invalid_configuration"
  | "tls_failed"
  | "internal"
  | "history_lost"
  | "not_caught_up"
  | "foreign_region"
  | "stale_version"
  | "no_quorum"
  | "bad_signature"
  | "frozen"
  | "unknown_delegation";

/** The properties of an error code. */
export interface ErrorEntry {
  /** Number on the wire. */
  readonly wire: number;
  readonly class: ErrorClass;
  /** True when the server applied nothing, so that even an unsafe operation may be sent again. */
  readonly unapplied: boolean;
  /** Advice to the person or program that receives the error. */
  readonly advice: string;
}

function entry(
  wire: number,
  errorClass: ErrorClass,
  unapplied: boolean,
  advice: string,
): ErrorEntry {
  return { wire, class: errorClass, unapplied, advice };
}

/** All error codes with their wire number, class, whether nothing was applied, and advice. */
export const ERROR_TABLE: Readonly<Record<ErrorCode, ErrorEntry>> = {
  malformed: entry(1, "caller", true, "Send a frame that follows the schema."),
  too_large: entry(2, "caller", true, "Send a smaller message, or split it."),
  invalid_argument: entry(3, "caller", true, "Correct the named field and send it again."),
  unknown_operation: entry(4, "caller", true, "Use an operation that this version serves."),
  unsupported_version: entry(
    5,
    "caller",
    true,
    "Use a program of a version that the message names.",
  ),
  unauthenticated: entry(6, "caller", true, "Connect with an identity issued by this cluster."),
  permission_denied: entry(
    7,
    "caller",
    true,
    "Use an identity with the missing right, or have it granted.",
  ),
  wrong_cluster: entry(8, "caller", true, "Connect to a node of the intended cluster."),
  not_found: entry(
    9,
    "not_found",
    true,
    "Check the name; it may have expired or was never registered.",
  ),
  superseded: entry(
    10,
    "conflict",
    true,
    "Another process took the record over: stop renewing it.",
  ),
  stale_sequence: entry(11, "conflict", true, "A later request of the same process came first."),
  incarnation_mismatch: entry(12, "conflict", true, "Read the record, then send its incarnation."),
  domain_taken: entry(13, "conflict", true, "Choose another domain, or deregister its holder."),
  claim_revoked: entry(14, "conflict", true, "Register again to make a new claim on the domain."),
  deadline_exceeded: entry(15, "unavailable", false, "Try again with more time."),
  overloaded: entry(16, "unavailable", true, "Wait for retryAfterMs, then try again."),
  storage_unavailable: entry(
    17,
    "unavailable",
    false,
    "Free space on the node's disk or repair it, as its log says.",
  ),
  not_leader: entry(
    18,
    "unavailable",
    true,
    "Send it to the node that the hint names, or try again once a leader is elected.",
  ),
  not_replica: entry(
    19,
    "unavailable",
    true,
    "Try again; crs cluster status shows which nodes hold replicas and whether they answer.",
  ),
  too_stale: entry(20, "unavailable", true, "Allow an older answer, or ask the leader."),
  shutting_down: entry(21, "unavailable", true, "Connect again, to another node if there is one."),
  connection_lost: entry(22, "unavailable", false, "Connect again; the outcome is unknown."),
  canceled: entry(23, "caller", false, "The caller gave up; the outcome is unknown."),
  corrupt: entry(24, "internal", true, "Read the named file and offset, and restore it."),
  locked: entry(
    25,
    "caller",
    true,
    "Stop the other process that holds the folder, or choose a node id that no other node has.",
  ),
  invalid_configuration: entry(26, "caller", true, "Correct each setting that is listed."),
  tls_failed: entry(27, "unavailable", true, "Check the pinned hash or CA against the server's."),
  internal: entry(28, "internal", false, "Report it, with the server's log around that time."),
  history_lost: entry(
    29,
    "conflict",
    true,
    "The cluster was restored: list again, or watch without a token.",
  ),
  not_caught_up: entry(30, "unavailable", true, "Ask another replica, or the leader."),
  foreign_region: entry(
    31,
    "conflict",
    true,
    "Send it to the region that it belongs to; for a record by the option home (crs: --home).",
  ),
  stale_version: entry(
    32,
    "conflict",
    true,
    "Read the descriptor, and sign a payload with the next version and the hash of this one.",
  ),
  no_quorum: entry(33, "conflict", true, "Add signatures of further signers, then apply it again."),
  bad_signature: entry(
    34,
    "caller",
    true,
    "Sign exactly this payload, with a key that is in the signer set and not revoked.",
  ),
  frozen: entry(
    35,
    "conflict",
    true,
    "Signers froze the registry: a quorum of them must end the freeze first.",
  ),
  unknown_delegation: entry(
    36,
    "unavailable",
    true,
    "Open the delegation again: it ended, or the session on which it was opened did.",
  ),
};

/** Structured fields that some errors carry. */
export interface ErrorFields {
  /** The field of the request, the setting or the file that the error refers to. */
  readonly field?: string;
  /** Delay before a retry is worthwhile, ms. */
  readonly retryAfterMs?: number;
  /** Time for which a negative answer may be cached, ms. */
  readonly cacheMs?: number;
  /** Node id of the last known leader. */
  readonly leaderHint?: number;
  /** Term in which that leader was elected; absent if it is not known. */
  readonly leaderTerm?: number;
  /** The partitions that an incomplete answer lacks. */
  readonly partitions?: readonly number[];
  /** Current incarnation of the record. */
  readonly incarnation?: Position;
  /** The region that the record belongs to. */
  readonly homeRegion?: string;
}

/** An operating condition or a refused request, identified by a stable code. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly code: ErrorCode;
  readonly fields: ErrorFields;

  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.fields = fields;
  }
}

const codeByWire: readonly (ErrorCode | undefined)[] = (() => {
  const codes: (ErrorCode | undefined)[] = [];
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
    codes[ERROR_TABLE[code].wire] = code;
  }
  return codes;
})();

/** Returns the wire number of a code; 0 is reserved for success. */
export function errorCodeToWire(code: ErrorCode): number {
  return ERROR_TABLE[code].wire;
}

/**
 * Returns the code of a wire number; an unknown number, from a newer version, reads as `internal`.
 */
export function errorCodeFromWire(wire: number): ErrorCode {
  return codeByWire[wire] ?? "internal";
}

/** Returns `error` if it is a `RegistryError`, otherwise wraps it as `internal`. */
export function toRegistryError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new RegistryError("internal", message, {}, error);
}
