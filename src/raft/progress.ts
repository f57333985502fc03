/**
 * What a leader knows of one member: how far its log matches, what to send next, and how fast.
 *
 * A member is probed (one append at a time, until its log is known to match), replicated to (a
 * stream of appends within the window), or waits for a snapshot (no appends). `match < next` holds
 * always. Source: thesis §3.5, §5.1; the three states follow etcd-io/raft.
 */
import { assert } from "../base/assert.ts";
import type { InflightLimits } from "./inflights.ts";
import { Inflights } from "./inflights.ts";

/** How the leader treats a member. */
export type ProgressState = "probe" | "replicate" | "snapshot";

/** One member as its leader sees it. */
export class Progress {
  readonly id: number;
  /** The log is known to match up to here. */
  match = 0;
  /** The next entry to send; those in `(match, next)` are on their way. */
  next: number;
  /** The highest commit index that was sent and can have taken effect. */
  sentCommit = 0;
  /** The commit index that the member said it knows. */
  knownCommit = 0;
  state: ProgressState = "probe";
  /** Index of the snapshot on its way; 0: none. */
  pendingSnapshot = 0;
  /** Whether it was heard of since the last check of the quorum. */
  recentActive: boolean;
  /** No append until something is heard, or the next heartbeat's reply. */
  flowPaused = false;
  isLearner: boolean;
  /** The highest round of reads that it confirmed. */
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

  /** The same member once more, for a configuration that is only tried; shares the window. */
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

  /** Forgets all but its identity, as a change of term or role does. */
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

  /** Starts probing after what matches, or after the snapshot that is known to have arrived. */
  becomeProbe(): void {
    const after = this.state === "snapshot" ? this.pendingSnapshot : 0;
    this.#enter("probe");
    this.next = Math.max(this.match, after) + 1;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  /** Starts streaming after what matches. */
  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = this.match + 1;
  }

  /** Waits for the snapshot at `index`. */
  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  /** Notes that `count` entries of `bytes` of data were sent from `next` on. */
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
    // What fills the window is a probe: nothing follows it until something is heard.
    this.flowPaused = this.inflights.isFull;
  }

  /** Whether a commit index sent now can move the member's own. */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** Takes an acknowledgement up to `index`; false when it says nothing new. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.flowPaused = false;
    return true;
  }

  /**
   * Takes the refusal of an append after `rejected`; `hint` is where the logs may match. False when
   * it is an old one, which leaves everything as it was.
   */
  maybeDecrease(rejected: number, hint: number): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      // One probe is on its way at most, so only its own refusal counts.
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
