/**
 * A replicated state machine as the rest of the node sees it (ARCHITECTURE.md, the write path).
 *
 * Nothing is decided synchronously, entries carry term and index, and reads ask for permission.
 * Sources: Raft thesis §6.4 (reads), §8 (clients).
 */
import type { GroupId, GroupTimeMs, LogIndex, Term } from "../base/ids.ts";
import type { RegistryError } from "../base/errors.ts";

/** What came of a proposal. `outcome` is the state machine's own reply, ordered by `index`. */
export type Proposed<Outcome> =
  | { readonly ok: true; readonly index: LogIndex; readonly term: Term; readonly outcome: Outcome }
  | { readonly ok: false; readonly error: RegistryError };

/** Permission to read the applied state now, and what it is worth. */
export interface ReadPoint {
  readonly appliedIndex: LogIndex;
  readonly term: Term;
  /** The state's proven age, ms; 0 is linearizable. */
  readonly ageBoundMs: number;
}

/** A group as an operator sees it. */
export interface GroupStatus {
  readonly id: GroupId;
  readonly role: "leader" | "follower" | "starting" | "failed" | "closed";
  readonly term: Term;
  readonly appliedIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** Node id of the leader as known; 0 when unknown. */
  readonly leader: number;
}

/** One group on this node. */
export interface Group<Outcome> {
  readonly id: GroupId;

  /**
   * It leads and has applied an entry of its own term, as far as it knows: another may lead already,
   * and then nothing that it proposes is committed.
   */
  readonly isLeading: boolean;

  /**
   * Logs `command`, whose bytes the group owns from here, and applies it once committed. Never
   * settles in the calling turn, and never rejects. A failed proposal with a code whose table entry
   * says `unapplied` did nothing; with any other the outcome is not known.
   *
   * @param timeoutMs after which the answer is `deadline_exceeded`, the outcome not known.
   */
  propose(command: Uint8Array, timeoutMs: number): Promise<Proposed<Outcome>>;

  /**
   * Permission to read now, without waiting: the leader's lease covers this moment, or the applied
   * state is proven younger than `maxStalenessMs` (0: linearizable). `undefined`: ask
   * {@link readBarrier}. The point is valid in this turn only.
   */
  readPoint(maxStalenessMs: number): ReadPoint | undefined;

  /** Settles when a read is permitted, or with the code why it cannot be; never rejects. */
  readBarrier(
    maxStalenessMs: number,
    timeoutMs: number,
  ): Promise<ReadPoint | RegistryError>;

  /**
   * Group time, whole ms: that of the last command applied, and at a leader, from when it applied the
   * first entry of its own term, the node's available time since (available_time.ts). It stands still
   * while there is no leader or the leader can neither serve nor log. When a leader loses its place it
   * goes back to what was logged: nothing rests on the rest.
   */
  timeMs(): GroupTimeMs;

  status(): GroupStatus;

  /** Ends it. Proposals that wait are answered `connection_lost`, for they may be applied yet. */
  close(): void;
}

/** The node's available time (available_time.ts), from which the time of every led group runs. */
export interface GroupClock {
  /** Available time, ms; never goes back. */
  nowMs(): number;

  /**
   * How much of the current reading may yet be left out, ms: nothing may expire that was not due that
   * long ago. Infinity: nothing may expire now.
   */
  unsettledMs(): number;
}
