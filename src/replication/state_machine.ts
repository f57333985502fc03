/**
 * The interface of a replicated state machine. It is deterministic: the same entries give the same
 * state on every replica. It may also hold leader-only state, which ends with the leadership.
 */
import type { GroupTimeMs, LogIndex, Term } from "../base/ids.ts";

/** A decoded image that is not in use yet. Exactly one of the two methods is called, once. */
export interface PreparedImage {
  /** Replaces the machine's whole state by the image. */
  install(): void;
  /** Discards the image. */
  discard(): void;
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
  /** Returns the state as chunks, which are valid until the next apply. */
  writeImage(): Iterable<Uint8Array>;
  /**
   * Reads an image without changing the present state. The caller keeps the bytes.
   *
   * @throws RegistryError `corrupt` if the bytes are not an image.
   */
  readImage(image: Uint8Array): PreparedImage;
}
