/**
 * The leadership of one replica: the term it leads, whether it serves, and the group's time while it
 * does. A leader serves once an entry of its own term is applied, and thereby everything that was
 * acknowledged before (Raft thesis §6.4, §8).
 */
import type { GroupTimeMs } from "../base/ids.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { RaftNode } from "../raft/mod.ts";
import type { GroupCounts } from "./group_counts.ts";
import type { StateMachine } from "./state_machine.ts";

/** The leadership of one replica. */
export class GroupLeadership {
  /** The node's available time. */
  readonly #clock: MonotonicClock;
  readonly #machine: StateMachine<unknown>;
  readonly #counts: GroupCounts;
  #term = 0;
  /** The last term in which this replica was seen as a candidate. */
  #candidateTerm = 0;
  #isServing = false;
  /** Group time when it began to serve, and the available time of that moment. */
  #timeBaseMs = 0;
  #timeSinceMs = 0;

  constructor(clock: MonotonicClock, machine: StateMachine<unknown>, counts: GroupCounts) {
    this.#clock = clock;
    this.#machine = machine;
    this.#counts = counts;
  }

  /** The term that this replica leads, as of the last step; 0 if it does not lead. */
  get term(): number {
    return this.#term;
  }

  /** Whether an entry of the led term is applied. */
  get isServing(): boolean {
    return this.#isServing;
  }

  /** Returns the group time; see `Group.timeMs`. */
  timeMs(): GroupTimeMs {
    if (!this.#isServing) return this.#machine.timeMs;
    const runMs = this.#clock.nowMs() - this.#timeSinceMs;
    return Math.floor(this.#timeBaseMs + runMs) as GroupTimeMs;
  }

  /** Follows the core after a step; returns true if the led term changed or leadership ended. */
  follow(node: RaftNode): boolean {
    const { role } = node;
    if (role === "candidate" && node.term !== this.#candidateTerm) {
      this.#candidateTerm = node.term;
      this.#counts.elections++;
    }
    const term = role === "leader" ? node.term : 0;
    if (term === this.#term) return false;
    this.#term = term;
    return true;
  }

  /** Begins to serve: an entry of the led term is applied. */
  serve(): void {
    this.#isServing = true;
    this.#counts.leadsWon++;
    this.#timeBaseMs = this.#machine.timeMs;
    this.#timeSinceMs = this.#clock.nowMs();
    this.#machine.onBecomeLeader(this.timeMs());
  }

  /** Ends serving: the term in which it served is over. */
  retire(): void {
    if (!this.#isServing) return;
    this.#isServing = false;
    this.#counts.leadsLost++;
    this.#machine.onLoseLeadership();
  }

  /** Ends serving for good, without notifying the machine. */
  end(): void {
    if (this.#isServing) this.#counts.leadsLost++;
    this.#isServing = false;
  }
}
