/**
 * Two nodes that prove ages to each other, without a group set: the one that probes and the one that
 * answers, over clocks that a test moves.
 */
import type { GroupId, NodeId } from "../../src/base/ids.ts";
import { Answerer, type AnsweringGroup } from "../../src/liveness/freshness/answerer.ts";
import type { GroupProof } from "../../src/liveness/freshness/group_proof.ts";
import type { Proofs } from "../../src/liveness/freshness/messages.ts";
import { Prober } from "../../src/liveness/freshness/prober.ts";
import { ProofClock } from "../../src/liveness/freshness/proof_clock.ts";
import type { LeaderLease } from "../../src/liveness/lease.ts";

export const LEADING = 1 as NodeId;
export const PROBING = 2 as NodeId;
/** The run of both nodes. */
export const RUN = 7;

/** A lease that stands until a test ends it. */
export function newLease(): LeaderLease & { stands: boolean } {
  return { stands: true } as unknown as LeaderLease & { stands: boolean };
}

/** A group that the answering node leads. */
export class LedGroup implements AnsweringGroup {
  readonly id: number;
  lease: LeaderLease | undefined;
  term = 3;
  commitIndex = 10;
  hasMember = true;

  constructor(id: number, lease: LeaderLease | undefined) {
    this.id = id;
    this.lease = lease;
  }

  hasMemberOn(): boolean {
    return this.hasMember;
  }
}

/** The two nodes. */
export class ProofPair {
  monotonicMs = 1_000;
  wallMs = 50_000;
  run = RUN;
  answeringRun = RUN;
  readonly groups: LedGroup[] = [];
  readonly proofs = new Map<number, GroupProof>();
  readonly applied = new Map<number, { index: number; term: number }>();
  readonly prober: Prober;
  answerer: Answerer;
  /** The nodes that have members of the groups, by the follower's configuration. */
  readonly members = new Set<NodeId>([LEADING]);
  /** Whether the answering node holds leases. */
  leasesOff = false;

  constructor() {
    const clock = new ProofClock(
      { nowMs: () => this.monotonicMs },
      { unixMs: () => Math.floor(this.wallMs) },
      500,
    );
    this.prober = new Prober(() => this.run, clock);
    this.answerer = new Answerer(() => this.groups);
    this.prober.connected(LEADING);
  }

  /** Adds a group on both nodes; the follower has applied what is committed. */
  add(id: number, lease: LeaderLease): LedGroup {
    const group = new LedGroup(id, lease);
    this.groups.push(group);
    const applied = { index: group.commitIndex, term: group.term };
    this.applied.set(id, applied);
    const replica = { applied, hasMemberOn: (node: NodeId) => this.members.has(node) };
    this.proofs.set(id, this.prober.addGroup(id as GroupId, replica));
    return group;
  }

  /** Applies an entry at the follower. */
  apply(id: number, index: number, term = 3): void {
    Object.assign(this.applied.get(id)!, { index, term });
  }

  /** Moves both clocks. */
  pass(ms: number): void {
    this.monotonicMs += ms;
    this.wallMs += ms;
  }

  /** Commits an entry at the leader. */
  commit(group: LedGroup, index: number): void {
    group.commitIndex = index;
    this.answerer.touched([group]);
  }

  /** Sends a probe, and returns the answer to it; undefined if there is none. */
  ask(): Proofs | undefined {
    const probe = this.prober.probe(LEADING);
    this.answerer.probed(PROBING, this.run, probe, this.monotonicMs);
    return this.answers();
  }

  /** Returns the answer that is due. */
  answers(): Proofs | undefined {
    let found: Proofs | undefined;
    const stands = (lease: LeaderLease) => (lease as LeaderLease & { stands: boolean }).stands;
    this.answerer.answer(this.monotonicMs, stands, this.leasesOff, (_, proofs) => found = proofs);
    return found;
  }

  take(proofs: Proofs | undefined): string | undefined {
    return proofs === undefined
      ? "no answer"
      : this.prober.take(LEADING, this.answeringRun, proofs);
  }

  /** Probes, and takes the answer. */
  prove(): Proofs {
    const proofs = this.ask();
    this.take(proofs);
    return proofs!;
  }

  /** Returns the proven age of a group's replica, whole ms. */
  age(id: number): number {
    return Math.ceil(this.prober.ageMs(this.proofs.get(id)!.moment()));
  }
}
