/**
 * A leader's view of one member: how far its log matches, which entry to send next, and the flow
 * control.
 *
 * A member is probed (one append at a time, until its log is known to match), replicated to (a
 * stream of appends within the window), or waits for a snapshot (no appends). `match < next` always
 * holds. Source: thesis §3.5, §5.1; the three states follow etcd-io/raft.
 */
import { assert } from "../base/assert.ts";
import type { InflightLimits } from "./inflights.ts";
import { Inflights } from "./inflights.ts";

/** The state of replication to a member. */
export type ProgressState = "probe" | "replicate" | "snapshot";

/** One member as its leader sees it. */
export class Progress {
  readonly id: number;
  /** The log is known to match up to this index. */
  match = 0;
  /** The next entry to send; entries in `(match, next)` are in flight. */
  next: number;
  /** The highest commit index that was sent and can have taken effect. */
  sentCommit = 0;
  /** The commit index that the member reported. */
  knownCommit = 0;
  state: ProgressState = "probe";
  /** Index of the snapshot in flight; 0 for none. */
  pendingSnapshot = 0;
  /** Whether the member was heard from since the last check of the quorum. */
  recentActive: boolean;
  /** Appends are held back until an acknowledgement or the next heartbeat reply. */
  flowPaused = false;
  isLearner: boolean;
  /** The highest round of reads that the member confirmed. */
  readAcked = 0;
  readonly inflights: Inflights;

  constructor(
    id: number,
    fields: { next: number; isLearner: boolean; recentActive: boolean },
    limits: InflightLimits | Inflights,
  ) {
    this.id = id;
    this.next = fields.next;
    this.isLearner = fields.isLearner;
    this.recentActive = fields.recentActive;
    this.inflights = limits instanceof Inflights ? limits : new Inflights(limits);
  }

  /** Copies the member for a tentative configuration; the copy shares the window. */
  copy(): Progress {
    const copy = new Progress(this.id, this, this.inflights);
    copy.match = this.match;
    copy.sentCommit = this.sentCommit;
    copy.knownCommit = this.knownCommit;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.flowPaused = this.flowPaused;
    copy.readAcked = this.readAcked;
    return copy;
  }

  /** Resets everything but the identity, as after a change of term or role. */
  reset(next: number, match: number): void {
    this.match = match;
    this.next = next;
    this.sentCommit = 0;
    this.knownCommit = 0;
    this.state = "probe";
    this.pendingSnapshot = 0;
    this.recentActive = false;
    this.flowPaused = false;
    this.readAcked = 0;
    this.inflights.clear();
  }

  #enter(state: ProgressState): void {
    this.flowPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.clear();
  }

  /**
   * Starts probing after the last matching entry, or after the snapshot that is known to have
   * arrived.
   */
  becomeProbe(): void {
    const after = this.state === "snapshot" ? this.pendingSnapshot : 0;
    this.#enter("probe");
    this.next = Math.max(this.match, after) + 1;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  /** Starts streaming after the last matching entry. */
  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = this.match + 1;
  }

  /** Starts waiting for the snapshot at `index`. */
  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  /** Records that `count` entries with `bytes` of data were sent from `next` on. */
  sentEntries(count: number, bytes: number): void {
    assert(this.state !== "snapshot", "Entries were sent to a member that waits for a snapshot");
    if (this.state === "probe") {
      if (count > 0) this.flowPaused = true;
      return;
    }
    if (count > 0) {
      this.next += count;
      this.inflights.add(this.next - 1, bytes);
    }
    // The append that fills the window acts as a probe: nothing follows until a reply arrives.
    this.flowPaused = this.inflights.isFull;
  }

  /** Reports whether a commit index sent now can move the member's own. */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** Records an acknowledgement up to `index`. Returns false if it acknowledges nothing new. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.flowPaused = false;
    return true;
  }

  /**
   * Records the rejection of an append after `rejected`; `hint` is the index at which the logs may
   * match. Returns false for an outdated rejection, which changes nothing.
   */
  maybeDecrease(rejected: number, hint: number): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      // At most one probe is in flight, so only its own rejection counts.
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.flowPaused = false;
    }
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    return true;
  }

  /** Whether appends are held back. */
  get isPaused(): boolean {
    return this.state === "snapshot" || this.flowPaused;
  }
}
