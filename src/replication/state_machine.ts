/**
 * The interface of a replicated state machine. It is deterministic: the same entries give the same
 * state on every replica. It may also hold leader-only state, which ends with the leadership.
 */
import type { GroupTimeMs, LogIndex, Term } from "../base/ids.ts";

/** Work on an image that is done step by step. Each step yields the bytes that it went through. */
export type ImageWork<Result = void> = Generator<number, Result, undefined>;

/**
 * A decoded image that is not in use yet. Exactly one of the two methods is called, once. Each returns the
 * work of freeing what is not used any more, if there is any.
 */
export interface PreparedImage {
  /** Replaces the machine's whole state by the image, at once. */
  install(): ImageWork | undefined;
  /** Discards the image. */
  discard(): ImageWork | undefined;
}

/** The chunks of an image; each is valid until another one is taken. */
export interface ImageChunks extends Iterable<Uint8Array> {
  next(): IteratorResult<Uint8Array, undefined>;
  /** Ends the image early. Whoever does not take all chunks must call it. */
  return(value?: undefined): IteratorResult<Uint8Array, undefined>;
}

/** A replicated state machine. */
export interface StateMachine<Outcome> {
  /**
   * Applies one command; throws only on a broken invariant. The caller keeps the bytes.
   *
   * @param leaderNowMs the leader's group time, 0 if unknown; not part of the state.
   */
  apply(index: LogIndex, term: Term, command: Uint8Array, leaderNowMs: number): Outcome;
  /** Called when this replica begins to serve as leader, at this group time. */
  onBecomeLeader(nowMs: GroupTimeMs): void;
  /** Called when leadership ends: drops leader-only state. */
  onLoseLeadership(): void;
  /** The time of the last command applied, ms. */
  readonly timeMs: GroupTimeMs;
  /** Estimated size of an image of the present state, bytes; 0 if there is no estimate. */
  readonly imageBytes: number;
  /** Begins an image of the present state, which may change while the chunks are taken. */
  writeImage(): ImageChunks;
  /**
   * Returns the work of reading an image, which does not change the present state. The caller keeps the
   * bytes, unchanged until the work is done.
   *
   * @throws RegistryError from a step: `corrupt` if the bytes are not an image.
   */
  readImage(image: Uint8Array): ImageWork<PreparedImage>;
}
