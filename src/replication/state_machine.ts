/**
 * What a group replicates: pure, so that the same entries give the same state everywhere. Beside
 * the state it may know what only a leader knows, which ends with the leadership.
 */
import type { GroupTimeMs, LogIndex, Term } from "../base/ids.ts";

/** The state of an image, read and not yet in use. One of the two is called, once. */
export interface PreparedImage {
  /** Takes the place of all that the machine held. */
  install(): void;
  /** It is not wanted after all. */
  discard(): void;
}

/** A replicated state. */
export interface StateMachine<Outcome> {
  /**
   * Applies one command; throws only on a broken invariant. The bytes are the caller's.
   *
   * @param leaderNowMs the leader's group time, 0 where it is not known: not part of the state.
   */
  apply(index: LogIndex, term: Term, command: Uint8Array, leaderNowMs: number): Outcome;
  /** The group leads from now on, at this group time. */
  onBecomeLeader(nowMs: GroupTimeMs): void;
  /** It leads no more: what only a leader knows is forgotten. */
  onLoseLeadership(): void;
  /** The time of the last command applied, ms. */
  readonly timeMs: GroupTimeMs;
  /** The state as chunks; valid until the next apply. */
  writeImage(): Iterable<Uint8Array>;
  /**
   * Reads an image beside the present state, which stays as it is. The bytes are the caller's.
   *
   * @throws RegistryError `corrupt` where they are no image.
   */
  readImage(image: Uint8Array): PreparedImage;
}
