/**
 * Applies the committed entries of one group to its state machine and its configuration, and lets the
 * log in memory forget what no member needs.
 */
import type { LogIndex, Term } from "../base/ids.ts";
import { REPLICA_LOG_BYTES, REPLICA_LOG_BYTES_MAX } from "../base/limits.ts";
import { type Configuration, decodeConfChange, type Entry, type Message } from "../raft/mod.ts";
import type { GroupParts, GroupSteps } from "./group_parts.ts";

/** Applies the entries of one group. */
export class GroupApplier {
  readonly #parts: GroupParts;
  readonly #loop: GroupSteps;

  constructor(parts: GroupParts, loop: GroupSteps) {
    this.#parts = parts;
    this.#loop = loop;
  }

  /** Applies the entries of an order of the core, and answers it. */
  apply({ entries, responses }: Message): void {
    for (const entry of entries) this.applyEntry(entry);
    for (const response of responses) this.#parts.node.stepOwn(response);
    this.letGo();
  }

  /** Applies one entry, and settles its proposal. */
  applyEntry({ index, term, kind, data }: Entry): void {
    const { node, storage, leadership, machine, applied, proposals } = this.#parts;
    let outcome: unknown;
    if (kind !== "normal") {
      outcome = node.applyConfChange(decodeConfChange(data), index);
      this.configured(outcome as Configuration);
      storage.saveCommit(index);
    } else if (data.length > 0) {
      const leaderNowMs = leadership.isServing ? leadership.timeMs() : 0;
      outcome = machine.apply(index as LogIndex, term as Term, data, leaderNowMs);
    }
    applied.advance(index, term);
    if (!leadership.isServing && term === leadership.term) this.#loop.serve();
    proposals.applied(index, term, outcome);
  }

  /** Sets the configuration. */
  configured(configuration: Configuration): void {
    const { members, support, leadership } = this.#parts;
    // The set must check whether ticks are needed: messages to the first other member may be lost.
    if (members.set(configuration)) this.#loop.wantsTurn();
    // A removed leader no longer leads.
    this.#loop.noticeRole();
    support.configured(configuration, leadership.term);
  }

  /** Compacts applied entries that no member needs. */
  letGo(): void {
    const { replicaLog: log, members, applied } = this.#parts;
    if (members.isAlone) return log.compactTo(applied.index);
    if (log.byteCount <= REPLICA_LOG_BYTES) return;
    const excess = log.excessIndex(REPLICA_LOG_BYTES);
    const needed = log.byteCount <= REPLICA_LOG_BYTES_MAX ? this.#matchedIndex() : Infinity;
    log.compactTo(Math.min(applied.index, excess, needed));
  }

  /**
   * Returns the index up to which every reachable member has the log, or gets it by an image. Without
   * ticks the core never notices that a member is silent, so node liveness is checked as well.
   */
  #matchedIndex(): number {
    const { node, replica, support } = this.#parts;
    let index = Infinity;
    for (const { id, match, pendingSnapshot, recentActive } of node.status().members) {
      if (id === replica || !recentActive || !support.isCountedOn(id)) continue;
      index = Math.min(index, Math.max(match, pendingSnapshot));
    }
    return index;
  }
}
