/**
 * What a replica is as its group's leader: which term it leads, from when on it serves, and the
 * group's time meanwhile. It serves once an entry of its own term is applied, and with it all that
 * was acknowledged before (Raft thesis §6.4, §8).
 */
import type { GroupTimeMs } from "../base/ids.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { RaftNode } from "../raft/mod.ts";
import type { StateMachine } from "./state_machine.ts";

/** One replica's leadership. */
export class GroupLeadership {
  /** The node's available time. */
  readonly #clock: MonotonicClock;
  readonly #machine: StateMachine<unknown>;
  #term = 0;
  #isServing = false;
  /** Group time when it began to serve, and when that was. */
  #timeBaseMs = 0;
  #timeSinceMs = 0;

  constructor(clock: MonotonicClock, machine: StateMachine<unknown>) {
    this.#clock = clock;
    this.#machine = machine;
  }

  /** The term that is led, as of the last step; 0: none. */
  get term(): number {
    return this.#term;
  }

  /** Whether an entry of the term that is led is applied. */
  get isServing(): boolean {
    return this.#isServing;
  }

  /** Group time: see `Group.timeMs`. */
  timeMs(): GroupTimeMs {
    if (!this.#isServing) return this.#machine.timeMs;
    const runMs = this.#clock.nowMs() - this.#timeSinceMs;
    return Math.floor(this.#timeBaseMs + runMs) as GroupTimeMs;
  }

  /** Looks at the core after a step; true where it leads another term than before, or none any more. */
  follow(node: RaftNode): boolean {
    const term = node.role === "leader" ? node.term : 0;
    if (term === this.#term) return false;
    this.#term = term;
    return true;
  }

  /** An entry of the term that is led is applied. */
  serve(): void {
    this.#isServing = true;
    this.#timeBaseMs = this.#machine.timeMs;
    this.#timeSinceMs = this.#clock.nowMs();
    this.#machine.onBecomeLeader(this.timeMs());
  }

  /** The term in which it served is over. */
  retire(): void {
    if (!this.#isServing) return;
    this.#isServing = false;
    this.#machine.onLoseLeadership();
  }

  /** The replica does nothing more, and its machine is told nothing. */
  end(): void {
    this.#isServing = false;
  }
}
