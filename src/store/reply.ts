/**
 * Replies of a partition's state machine to entries, and locations of stored forms.
 *
 * Replies are part of apply's result: the same entries give the same replies on every replica.
 */
import type { ErrorCode } from "../base/errors.ts";
import { NO_POSITION, type Position } from "../base/position.ts";

/** The outcome of one entry. Every reply has every field, so that all have one shape. */
export interface ApplyReply {
  /** `ok`, or the reason why nothing was changed. */
  readonly code: "ok" | ErrorCode;
  /** On a refusal: what was wanted and what was found. */
  readonly message: string;
  /** On `invalid_argument`: the field. */
  readonly field: string;
  /**
   * Put: the record's incarnation. Refusals by incarnation, process or sequence: the record's
   * current incarnation, or {@link NO_POSITION} when no record is live.
   */
  readonly incarnation: Position;
  /** Put, report: the record's revision. */
  readonly revision: Position;
  /** Claim, confirm: the alias' claim. `domain_taken`: the holder's. */
  readonly claim: Position;
  /** `domain_taken`: the agent that holds the domain (16 bytes, the receiver's own). */
  readonly holder: Uint8Array | undefined;
  /** Put: the record was created or taken over, rather than updated. */
  readonly created: boolean;
  /** Put: the same request was applied before; nothing changed. */
  readonly duplicate: boolean;
  /** Revoke: the agent's live record holds the claim, so it was not revoked. */
  readonly held: boolean;
  /**
   * Extend, expire, remove, release, batches of mirrors: number of items that took effect; 0 if already
   * gone.
   */
  readonly count: number;
  /** Batches of mirrors: number of changes that must not be mirrored, or are none. */
  readonly refused: number;
}

/** The common shape with all fields empty. */
const EMPTY_REPLY: ApplyReply = Object.freeze({
  code: "ok",
  message: "",
  field: "",
  incarnation: NO_POSITION,
  revision: NO_POSITION,
  claim: NO_POSITION,
  holder: undefined,
  created: false,
  duplicate: false,
  held: false,
  count: 0,
  refused: 0,
});

/** Returns a success; absent fields are empty. */
export function success(fields: Partial<ApplyReply> = EMPTY_REPLY): ApplyReply {
  return { ...EMPTY_REPLY, ...fields };
}

/** Returns a refusal. */
export function refusal(
  code: ErrorCode,
  message: string,
  fields: Partial<ApplyReply> = EMPTY_REPLY,
): ApplyReply {
  return { ...EMPTY_REPLY, ...fields, code, message };
}

/** The location of a stored form, valid only until the state's next change. */
export interface StoredSpan {
  bytes: Uint8Array;
  view: DataView;
  start: number;
  end: number;
}

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);

/** Returns an unset span for `locate` to fill repeatedly. */
export function emptySpan(): StoredSpan {
  return { bytes: NO_BYTES, view: NO_VIEW, start: 0, end: 0 };
}

/** Returns the location of a stored form that takes all of `bytes`. */
export function spanOf(bytes: Uint8Array): StoredSpan {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { bytes, view, start: 0, end: bytes.length };
}
