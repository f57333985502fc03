/**
 * Replies of watches: their parts and events, and the frames in which they leave. What several
 * watches receive alike is encoded once and copied, under the id of each; only a record with a
 * credential hash is encoded once for those who see all hashes, once for those who see none, and
 * for each of those who may see some.
 */
import { WATCH_PHASES, type WatchPart, watchReplyCodec } from "../../../schemas/gen/wire.ts";
import { FrameWriter, type Input } from "../../../schemas/runtime/writer.ts";
import { errorCodeToWire, type RegistryError } from "../../base/errors.ts";
import { RESPONSE_FRAME_BYTES_MAX } from "../../base/limits.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { recordKind } from "../../record/kinds.ts";
import { KIND_ALIAS } from "../../record/key.ts";
import type { ReadPoint } from "../../replication/group_interface.ts";
import type { StoredSpan } from "../../store/reply.ts";
import type { CredentialRedaction } from "../credential_redaction.ts";
import { type ReplyWriter, setReplyId } from "../reply_writer.ts";

/** An event on its way to watches. */
export interface ReplyEvent {
  readonly type: number;
  readonly kind: number;
  readonly ordinal: number;
  readonly index: number;
  readonly record: StoredSpan;
  /** Empty: none. */
  readonly before: StoredSpan;
  readonly remainingMs: number;
  readonly left: boolean;
  /** Of a mirror: the region that the record belongs to; else empty. */
  readonly home: string;
}

/** A part of a reply. */
export interface ReplyPart {
  readonly partition: number;
  readonly generation: number;
  /** The position behind the part. */
  index: number;
  ordinal: number;
  readonly phase: number;
  readonly events: ReplyEvent[];
  /** Of an ended part: the number of the code, and the fields of a refusal. */
  readonly code: number;
  readonly leaderHint: number;
  readonly retryAfterMs: number;
}

/** The fields of a part that has not ended. */
const NOT_ENDED = { code: 0, leaderHint: 0, retryAfterMs: 0 };

/** Returns the part that ends a watch in a partition. */
export function endedPart(partition: number, { code, fields }: RegistryError): ReplyPart {
  return {
    ...{ partition, generation: 0, index: 0, ordinal: 0, phase: WATCH_PHASES.ended, events: [] },
    code: errorCodeToWire(code),
    leaderHint: fields.leaderHint ?? 0,
    retryAfterMs: fields.retryAfterMs ?? 0,
  };
}

/** Returns a part with changes, to which events are added. */
export function changesOf(
  { id: partition, generation }: { readonly id: number; readonly generation: number },
  index: number,
  ordinal: number,
): ReplyPart {
  const { changes: phase } = WATCH_PHASES;
  return { partition, generation, index, ordinal, phase, events: [], ...NOT_ENDED };
}

/** Returns about how many bytes of a reply an event takes. */
export function bytesOfEvent({ record, before }: ReplyEvent): number {
  return EVENT_BYTES + record.end - record.start + before.end - before.start;
}

/** Size of an event besides its forms, and of a part. */
const EVENT_BYTES = 48;
export const PART_BYTES = 48;

/** Writes replies of watches. One instance serves all watches of a node. */
export class WatchReplies {
  readonly #replies: ReplyWriter;
  readonly #redaction: CredentialRedaction;
  readonly #scratch = new FrameWriter({ bytesMax: RESPONSE_FRAME_BYTES_MAX });

  constructor(replies: ReplyWriter, redaction: CredentialRedaction) {
    this.#replies = replies;
    this.#redaction = redaction;
  }

  /** Appends a reply with parts, as `peer` may see them. */
  write(out: FrameWriter, id: number, parts: readonly ReplyPart[], peer: AuthenticatedPeer): void {
    this.#append(out, id, parts.map((part) => this.#seenBy(peer, part)));
  }

  /** Appends the parts that end a watch in some partitions; the last reply if no others are left. */
  ended(out: FrameWriter, id: number, parts: readonly ReplyPart[], isLast: boolean): void {
    this.#append(out, id, parts, isLast);
  }

  #append(
    out: FrameWriter,
    id: number,
    parts: readonly Input<WatchPart>[],
    isLast = false,
  ): void {
    this.#replies.begin(id);
    const reply = { parts, progress: false, isLast, nonce: 0 };
    this.#replies.success(out, watchReplyCodec, reply);
  }

  /**
   * Appends a progress reply.
   *
   * @param nonce the number under which it was asked for, or 0.
   * @param age the age of the oldest of the watch's partitions, if all are proven.
   */
  progress(
    out: FrameWriter,
    { id, nonce, parts, age }: {
      id: number;
      nonce: number;
      parts: readonly ReplyPart[];
      age: { readonly partition: number; readonly point: ReadPoint } | undefined;
    },
  ): void {
    this.#replies.begin(id);
    if (age !== undefined) this.#replies.addReceipt(age.partition, age.point);
    const reply = { parts, progress: true, isLast: false, nonce };
    this.#replies.success(out, watchReplyCodec, reply);
  }

  /** Returns a reply with parts that several watches receive. */
  shared(parts: readonly ReplyPart[]): SharedReply {
    return new SharedReply(this, this.#redaction, parts);
  }

  /** Encodes a reply; the caller owns the frame, whose id is 0. */
  encode(parts: readonly ReplyPart[], peer: AuthenticatedPeer): Uint8Array {
    this.#scratch.reset();
    this.write(this.#scratch, 0, parts, peer);
    return this.#scratch.written.slice();
  }

  #seenBy(peer: AuthenticatedPeer, part: ReplyPart): Input<WatchPart> {
    return {
      ...part,
      events: part.events.map((event) => ({
        ...event,
        record: this.#form(peer, event.kind, event.record),
        before: this.#form(peer, event.kind, event.before),
      })),
    };
  }

  #form(peer: AuthenticatedPeer, kind: number, form: StoredSpan) {
    if (kind === KIND_ALIAS || form.end === form.start) return form;
    return this.#redaction.redact(peer, recordKind(kind), form);
  }
}

/** A reply that several watches receive, valid in this turn only. */
export class SharedReply {
  readonly parts: readonly ReplyPart[];
  readonly #replies: WatchReplies;
  readonly #redaction: CredentialRedaction;
  #hasHashes: boolean | undefined;
  /** The frames for those who see all hashes, and for those who see none. */
  #withHashes: Uint8Array | undefined;
  #withoutHashes: Uint8Array | undefined;

  constructor(
    replies: WatchReplies,
    redaction: CredentialRedaction,
    parts: readonly ReplyPart[],
  ) {
    this.#replies = replies;
    this.#redaction = redaction;
    this.parts = parts;
  }

  /** Appends the reply for one of the watches. */
  write(out: FrameWriter, id: number, peer: AuthenticatedPeer): void {
    const hashesSeen = this.#areThereHashes() ? this.#redaction.hashesSeenBy(peer) : "all";
    if (hashesSeen === "some") return this.#replies.write(out, id, this.parts, peer);
    const frame = hashesSeen === "all"
      ? this.#withHashes ??= this.#replies.encode(this.parts, peer)
      : this.#withoutHashes ??= this.#replies.encode(this.parts, peer);
    const at = out.allocate(frame.length);
    out.bytes.set(frame, at);
    setReplyId(out, at, id);
  }

  #areThereHashes(): boolean {
    return this.#hasHashes ??= this.parts.some(({ events }) =>
      events.some(({ kind, record, before }) =>
        kind !== KIND_ALIAS &&
        (this.#redaction.hasHash(recordKind(kind), record) ||
          this.#redaction.hasHash(recordKind(kind), before))
      )
    );
  }
}
