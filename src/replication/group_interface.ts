/**
 * The interface of a replicated state machine to the rest of the node (ARCHITECTURE.md, the write
 * path).
 *
 * No decision is synchronous, entries carry a term and an index, and reads need permission.
 * Sources: Raft thesis §6.4 (reads), §8 (clients).
 */
import type { GroupId, GroupTimeMs, LogIndex, Term } from "../base/ids.ts";
import type { RegistryError } from "../base/errors.ts";
import type { Moment } from "../liveness/mod.ts";

/** The result of a proposal. `outcome` is the state machine's own reply, ordered by `index`. */
export type Proposed<Outcome> =
  | { readonly ok: true; readonly index: LogIndex; readonly term: Term; readonly outcome: Outcome }
  | { readonly ok: false; readonly error: RegistryError };

/** Permission to read the applied state now, with the state's position and age. */
export interface ReadPoint {
  readonly appliedIndex: LogIndex;
  readonly term: Term;
  /** Proven upper bound of the state's age, ms; 0 is linearizable. */
  readonly ageBoundMs: number;
  /** The moment of this node's clocks from which a follower counts the age; absent for age 0. */
  readonly provenAt?: Moment;
}

/** The status of a group, for operators. */
export interface GroupStatus {
  readonly id: GroupId;
  readonly role: "leader" | "follower" | "starting" | "failed" | "closed";
  readonly term: Term;
  readonly appliedIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** Node id of the leader as known here; 0 if unknown. */
  readonly leader: number;
}

/** One group on this node. */
export interface Group<Outcome> {
  readonly id: GroupId;

  /**
   * Whether this replica believes that it leads, and has applied an entry of its own term. Another
   * replica may lead already; then nothing that this one proposes is committed.
   */
  readonly isLeading: boolean;

  /**
   * Logs `command` and applies it once it is committed. The group owns the bytes from now on. Never
   * settles in the calling turn, and never rejects. If a proposal fails with a code whose table entry
   * says `unapplied`, it had no effect; with any other code the outcome is unknown.
   *
   * @param timeoutMs time after which the answer is `deadline_exceeded` and the outcome unknown. It is
   * `connection_lost` earlier if this replica ceased to lead and cannot learn the outcome soon.
   */
  propose(command: Uint8Array, timeoutMs: number): Promise<Proposed<Outcome>>;

  /**
   * Returns permission to read now, without waiting: at a leader if its lease covers this moment, at a
   * follower if the age of its state is proven to be within the bound. If it returns `undefined`, see
   * {@link readElsewhere} and {@link readBarrier}. The point is valid in this turn only, and is
   * overwritten by the next permission.
   *
   * @param maxStalenessMs the age that the reader accepts; 0 for a linearizable read.
   */
  readPoint(maxStalenessMs: number): ReadPoint | undefined;

  /**
   * Returns the age by now of what was read in an earlier turn with that permission, whole ms; 0 for a
   * linearizable read. Infinity once the node's clocks cannot tell.
   */
  ageNowMs(point: ReadPoint): number;

  /**
   * Returns `not_leader`, with the leader as the hint if it is known; undefined if this replica leads,
   * or is the sole voter and will. A request for the leader is refused with it at once.
   */
  notLeading(): RegistryError | undefined;

  /**
   * Returns why a read with that bound must be asked of another node, with the leader as the hint if it
   * is known: `not_leader`, or `too_stale` if it has a bound. Returns undefined if {@link readBarrier}
   * may permit it.
   */
  readElsewhere(maxStalenessMs: number): RegistryError | undefined;

  /**
   * Waits for permission to read; settles with an error if there is none. Never rejects. A follower asks
   * its leader, or with a bound waits for a proof of its age.
   */
  readBarrier(
    maxStalenessMs: number,
    timeoutMs: number,
  ): Promise<ReadPoint | RegistryError>;

  /**
   * Returns the proven age of the applied state now, whole ms: 0 at a leader with a lease, Infinity if
   * none is proven. At a follower, proofs are asked for from now on, for some seconds.
   */
  provenAgeMs(): number;

  /**
   * Returns the group time, whole ms: the time of the last command applied. At a leader that has
   * applied an entry of its own term, the node's available time since then is added
   * (available_time.ts). Group time stands still while there is no leader or the leader can neither
   * serve nor log. When a leader loses its leadership, its group time returns to the logged time;
   * nothing depends on the difference.
   */
  timeMs(): GroupTimeMs;

  status(): GroupStatus;

  /** Closes the group. Open proposals are answered `connection_lost`, as they may still be applied. */
  close(): void;
}

/** The node's available time (available_time.ts), which drives the time of every group it leads. */
export interface GroupClock {
  /** Returns the available time, ms; never decreases. */
  nowMs(): number;

  /**
   * Returns how much of the current reading may still be excluded, ms. Nothing may expire unless it
   * was due that long ago; with Infinity nothing may expire now.
   */
  unsettledMs(): number;
}
