/**
 * Reads with a proven age on one node: probes the nodes that lead groups with a replica here, answers
 * the probes of others, and holds the reads that wait for a first answer. The protocol is in
 * `src/liveness/freshness/`.
 *
 * Probes are sent only while such reads are asked for, and for a while after, as often as the smallest
 * bound needs. They leave, as the answers do, at the end of the turn of the group set that is due, in
 * its frames, or at once if none is.
 */
import { RegistryError } from "../base/errors.ts";
import type { GroupId, NodeId } from "../base/ids.ts";
import { GROUP_RETRY_MS, PROOF_WAIT_MS, PROOF_WAITERS_MAX } from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import {
  Answerer,
  type AnsweringGroup,
  type FreshnessRefusal,
  type GroupProof,
  type LeaderLease,
  type Moment,
  type Probe,
  ProbeDemand,
  Prober,
  ProofClock,
  type Proofs,
  type ProvenReplica,
} from "../liveness/mod.ts";
import type { FreshnessCounts, FreshnessMiss } from "./freshness_counts.ts";
import type { ReadPoint } from "./group_interface.ts";
import type { NodeLiveness } from "./node_liveness.ts";
import type { PeerOutbox } from "./peer_outbox.ts";

/** The dependencies of a node's reads with a proven age. */
export interface NodeFreshnessOptions {
  readonly world: World;
  readonly liveness: NodeLiveness;
  /** Leases prove what a node asserts; without them it neither proves nor believes ages. */
  readonly areLeasesOn: boolean;
  /** Assumed drift of this node's monotonic clock, parts per million. */
  readonly driftPpm: number;
  readonly counts: FreshnessCounts;
  /** Returns the groups of this node. */
  readonly groups: () => Iterable<AnsweringGroup>;
  readonly outbox: PeerOutbox;
  /** Reports whether a turn is due, at whose end {@link NodeFreshness.takeOutgoing} is called. */
  readonly isTurnDue: () => boolean;
  /** Sends what is in the outbox. */
  readonly sendFrames: () => void;
}

/** A group that a read waits for. */
export interface BoundedGroup extends AnsweringGroup {
  /**
   * Returns permission as `Group.readPoint`, but counts no read as served: one that waited asks again,
   * because the age has grown since.
   */
  permission(maxStalenessMs: number): ReadPoint | undefined;
  /** Returns why the read cannot be permitted here; undefined while it may be soon. */
  readElsewhere(maxStalenessMs: number): RegistryError | undefined;
  /** Returns the refusal of a read that has waited for as long as it may. */
  lateProof(maxStalenessMs: number): RegistryError;
}

interface Waiter {
  readonly group: BoundedGroup;
  readonly maxStalenessMs: number;
  readonly deadlineMs: number;
  readonly settle: (result: ReadPoint | RegistryError) => void;
}

/** The proofs and answers of one node. */
export class NodeFreshness {
  readonly #options: NodeFreshnessOptions;
  readonly #clock: ProofClock;
  readonly #prober: Prober;
  readonly #answerer: Answerer;
  readonly counts: FreshnessCounts;
  /** The nodes to probe, and whether one has asked this node. */
  readonly #due = new Set<NodeId>();
  #isAsked = false;
  #waiters: Waiter[] = [];
  readonly #demand = new ProbeDemand();
  /** The interval of the probes now, ms. */
  #intervalMs = Infinity;
  /** Monotonic time since which this interval is wanted: proofs from before may be too old for it. */
  #sinceMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: NodeFreshnessOptions) {
    this.#options = options;
    this.counts = options.counts;
    const { world: { monotonic, wall }, driftPpm, liveness, groups } = options;
    this.#clock = new ProofClock(monotonic, wall, driftPpm);
    this.#prober = new Prober(() => liveness.run, this.#clock);
    this.#answerer = new Answerer(groups);
  }

  /** Adds a replica of this node, and returns its proofs. */
  addGroup(id: GroupId, replica: ProvenReplica): GroupProof {
    return this.#prober.addGroup(id, replica);
  }

  /** Removes a replica of this node, which ended: reads that wait for it are refused with `error`. */
  removeGroup(group: AnsweringGroup, error: RegistryError): void {
    this.#prober.removeGroup(group.id as GroupId);
    this.#answerer.touched([group]);
    if (this.#waiters.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.group !== group) return true;
      waiter.settle(error);
      return false;
    });
  }

  /** Records that something happened in groups. */
  touched(groups: Iterable<AnsweringGroup>): void {
    this.#answerer.touched(groups);
  }

  /** Returns the age of what holds everything up to `moment`, ms; Infinity if the clocks disagree. */
  ageMs(moment: Moment): number {
    return this.#prober.ageMs(moment);
  }

  /** Records that a read with a bound was asked for: probes are sent from now on. */
  asked(maxStalenessMs: number): void {
    const nowMs = this.#clock.nowMs();
    const isMore = this.#demand.asked(maxStalenessMs, nowMs);
    if (this.#timer !== undefined && !isMore) return;
    if (this.#isClosed || !this.#options.areLeasesOn) return;
    if (this.#timer === undefined) this.#prober.restart();
    this.#timer?.cancel();
    this.#sinceMs = nowMs;
    this.#probe();
  }

  /** Reports whether `leader` is about to answer for the first time since it is probed this often. */
  isAwaited(leader: NodeId): boolean {
    return this.#timer !== undefined && this.#prober.answeredMs(leader) < this.#sinceMs &&
      this.#options.liveness.supportedEpoch(leader) !== 0;
  }

  /** Returns why nothing that `leader` leads is proven here, if there is a lasting reason. */
  noProofs(leader: NodeId | undefined): readonly [FreshnessMiss, string] | undefined {
    if (!this.#options.areLeasesOn) {
      return ["leases_off", "leases are off on this node, so it proves no ages"];
    }
    if (leader === undefined) return ["no_leader", "no leader is known here"];
    if (!this.#prober.areLeasesOff(leader)) return undefined;
    return ["leases_off", `leases are off on node ${leader}, which leads, so no ages are proven`];
  }

  /** Waits until a group permits the read or refuses it. Never rejects. */
  wait(
    group: BoundedGroup,
    maxStalenessMs: number,
    timeoutMs: number,
  ): Promise<ReadPoint | RegistryError> {
    const refusal = group.readElsewhere(maxStalenessMs);
    if (refusal !== undefined) return Promise.resolve(refusal);
    if (this.#waiters.length >= PROOF_WAITERS_MAX) {
      return Promise.resolve(
        new RegistryError(
          "overloaded",
          `${this.#waiters.length} reads wait for a proof, which is the limit`,
          { retryAfterMs: GROUP_RETRY_MS },
        ),
      );
    }
    const deadlineMs = this.#clock.nowMs() + Math.min(timeoutMs, PROOF_WAIT_MS);
    return new Promise((settle) => {
      this.#waiters.push({ group, maxStalenessMs, deadlineMs, settle });
    });
  }

  /** Handles a new session with `node`. */
  connected(node: NodeId): void {
    this.#prober.connected(node);
    this.#answerer.forget(node);
  }

  /** Handles the end of a session with `node`. */
  disconnected(node: NodeId): void {
    this.#prober.disconnected(node);
    this.#answerer.forget(node);
    this.#settleWaiters();
  }

  /** Handles that this node did not run for a while, or that a clock was set. */
  void(): void {
    this.#prober.void();
  }

  /** Takes a probe from a frame of run `run` of `from`; returns a code if it was refused. */
  receiveProbe(from: NodeId, run: number, probe: Probe): FreshnessRefusal | undefined {
    const refused = this.#answerer.probed(from, run, probe, this.#clock.nowMs());
    this.#isAsked = refused === undefined;
    return refused;
  }

  /** Takes an answer from a frame of run `run` of `from`; returns a code if it was refused. */
  receiveProofs(from: NodeId, run: number, proofs: Proofs): FreshnessRefusal | undefined {
    const refused = this.#prober.take(from, run, proofs);
    this.#settleWaiters();
    return refused;
  }

  /** Calls `receive`, which takes a frame of another node, and answers the probe in it. */
  receiving(receive: () => void): void {
    receive();
    if (this.#isAsked) this.#send();
  }

  /**
   * Sends what is due, at the end of the turn that is due, or at once if none is: a turn of its own
   * would cost as much as all else about a probe. Without a turn no group has changed.
   */
  #send(): void {
    const { isTurnDue, sendFrames } = this.#options;
    if (isTurnDue()) return;
    this.takeOutgoing();
    sendFrames();
  }

  /** Adds the probes and answers that are due to the frames that leave now. */
  takeOutgoing(): void {
    const { liveness, areLeasesOn, outbox } = this.#options;
    if (liveness.run === 0) return;
    this.#isAsked = false;
    if (this.#answerer.size > 0) {
      const nowMs = liveness.nowMs();
      const stands = (lease: LeaderLease) => liveness.stands(lease, nowMs);
      this.#answerer.answer(nowMs, stands, !areLeasesOn, (to, proofs) => {
        outbox.setProofs(to, proofs);
        // A probe that would be due soon saves a frame of its own.
        const isSoon = nowMs - this.#prober.probedMs(to) > this.#intervalMs / 2;
        if (this.#timer !== undefined && isSoon) this.#due.add(to);
      });
    }
    if (this.#due.size === 0) return;
    for (const node of this.#due) outbox.setProbe(node, this.#prober.probe(node));
    this.#due.clear();
  }

  /** Ends probing. No read waits any more, as all groups have ended. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #probe(): void {
    const { liveness, world } = this.#options;
    const nowMs = this.#clock.nowMs();
    const intervalMs = this.#intervalMs = this.#demand.intervalMs(nowMs);
    for (const node of liveness.sharing) {
      if (nowMs - this.#prober.probedMs(node) > intervalMs / 2) this.#due.add(node);
    }
    if (this.#due.size > 0) this.#send();
    this.#timer = world.scheduler.after(intervalMs, () => {
      this.#timer = undefined;
      const isWanted = this.#demand.intervalMs(this.#clock.nowMs()) < Infinity;
      if (isWanted && !this.#isClosed) this.#probe();
      this.#settleWaiters();
    });
  }

  #settleWaiters(): void {
    if (this.#waiters.length === 0) return;
    const nowMs = this.#clock.nowMs();
    this.#waiters = this.#waiters.filter((waiter) => {
      const { group, maxStalenessMs, deadlineMs, settle } = waiter;
      const point = group.permission(maxStalenessMs);
      if (point !== undefined) {
        settle({ ...point });
        return false;
      }
      const refusal = group.readElsewhere(maxStalenessMs) ??
        (nowMs < deadlineMs ? undefined : group.lateProof(maxStalenessMs));
      if (refusal !== undefined) settle(refusal);
      return refusal === undefined;
    });
  }
}
