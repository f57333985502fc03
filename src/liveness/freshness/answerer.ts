/**
 * The side that answers: what this node asserts of the groups that it leads, to each node that probes
 * it. Pure: its owner passes on probes, tells which groups had an event, and takes the answers in one
 * synchronous turn.
 *
 * An answer asserts of every covered group that its leader's lease stands now, that an entry of its
 * own term is committed, and its commit index. Its cost is that of the changes: each distinct lease
 * is checked once, and a group is looked at only after it had an event, or its lease began or ended.
 * A sleeping group has no events and is not woken.
 */
import type { NodeId } from "../../base/ids.ts";
import { PROBED_MS } from "../../base/limits.ts";
import type { LeaderLease } from "../lease.ts";
import {
  type Assertion,
  type FreshnessRefusal,
  isProbe,
  type Probe,
  type Proofs,
} from "./messages.ts";

/** A group as the answers see it. */
export interface AnsweringGroup {
  readonly id: number;
  /**
   * The lease by which this replica may serve reads, as long as it stands; undefined if it does not
   * lead, has no committed entry of its own term, or may not rely on a lease in this term.
   */
  readonly lease: LeaderLease | undefined;
  readonly term: number;
  readonly commitIndex: number;
  /** Reports whether a member of the group is on `node`. */
  hasMemberOn(node: NodeId): boolean;
}

/** A group that one node was told about, or would be while its lease stands. */
interface Covered {
  lease: LeaderLease | undefined;
  /** Term and index of the last assertion; 0 before the first. */
  term: number;
  index: number;
}

/** A lease and the groups that depend on it. */
interface LeaseGroups {
  stands: boolean;
  readonly groups: Set<AnsweringGroup>;
}

/** Reports whether a lease stands now. */
export type StandsNow = (lease: LeaderLease) => boolean;

/** Assertions made to one node in one epoch. */
class Coverage {
  readonly run: number;
  readonly epoch: number;
  readonly #list: number;
  /** The newest probe, and the last one answered. */
  sequence = 0;
  answered = 0;
  probedMs = 0;
  readonly changed = new Set<AnsweringGroup>();
  readonly #node: NodeId;
  #counter = 0;
  readonly #covered = new Map<number, Covered>();
  readonly #leases = new Map<LeaderLease, LeaseGroups>();

  constructor(node: NodeId, run: number, epoch: number, list: number) {
    this.#node = node;
    this.run = run;
    this.epoch = epoch;
    this.#list = list;
  }

  /** Returns the answer to the newest probe. */
  answer(standsNow: StandsNow, leasesOff: boolean): Proofs {
    this.answered = this.sequence;
    this.#checkLeases(standsNow);
    const changes: Assertion[] = [];
    for (const group of this.changed) this.#look(group, standsNow, changes);
    this.changed.clear();
    const { run, epoch, sequence } = this;
    const [list, counter] = [this.#list, ++this.#counter];
    return { run, epoch, sequence, list, counter, leasesOff, changes };
  }

  #checkLeases(standsNow: StandsNow): void {
    for (const [lease, known] of this.#leases) {
      if (known.groups.size === 0) {
        this.#leases.delete(lease);
        continue;
      }
      const stands = standsNow(lease);
      if (stands === known.stands) continue;
      known.stands = stands;
      for (const group of known.groups) this.changed.add(group);
    }
  }

  /** Compares what may be asserted of a group with what was, and adds the difference. */
  #look(group: AnsweringGroup, standsNow: StandsNow, changes: Assertion[]): void {
    const { id } = group;
    let { lease } = group;
    if (lease !== undefined && !group.hasMemberOn(this.#node)) lease = undefined;
    let covered = this.#covered.get(id);
    if (covered === undefined) {
      if (lease === undefined) return;
      this.#covered.set(id, covered = { lease: undefined, term: 0, index: 0 });
    }
    this.#depend(group, covered, lease, standsNow);
    const stands = lease !== undefined && this.#leases.get(lease)!.stands;
    const [term, index] = stands ? [group.term, group.commitIndex] : [0, 0];
    if (covered.term !== term || covered.index !== index) {
      covered.term = term;
      covered.index = index;
      changes.push({ groupId: id, term, commitIndex: index });
    }
    if (lease === undefined) this.#covered.delete(id);
  }

  #depend(
    group: AnsweringGroup,
    covered: Covered,
    lease: LeaderLease | undefined,
    standsNow: StandsNow,
  ): void {
    if (covered.lease === lease) return;
    if (covered.lease !== undefined) this.#leases.get(covered.lease)?.groups.delete(group);
    covered.lease = lease;
    if (lease === undefined) return;
    const known = this.#leases.get(lease);
    if (known !== undefined) known.groups.add(group);
    else this.#leases.set(lease, { stands: standsNow(lease), groups: new Set([group]) });
  }
}

/** The answers of one node to all that probe it. */
export class Answerer {
  readonly #coverages = new Map<NodeId, Coverage>();
  readonly #groups: () => Iterable<AnsweringGroup>;
  #lists = 0;

  /** @param groups returns all groups of this node. */
  constructor(groups: () => Iterable<AnsweringGroup>) {
    this.#groups = groups;
  }

  /** The number of nodes whose answers are prepared. */
  get size(): number {
    return this.#coverages.size;
  }

  /**
   * Takes a probe of `node`, from a frame of its run `run`. Returns a code if it was refused; one that
   * is late or repeated has no effect. Never throws, whatever it contains.
   */
  probed(node: NodeId, run: number, probe: Probe, nowMs: number): FreshnessRefusal | undefined {
    if (!isProbe(probe) || run < 1) return "malformed";
    let coverage = this.#coverages.get(node);
    if (coverage !== undefined) {
      const isLate = run < coverage.run || (run === coverage.run && probe.epoch < coverage.epoch);
      if (isLate) return undefined;
    }
    if (coverage?.run !== run || coverage.epoch !== probe.epoch) {
      coverage = new Coverage(node, run, probe.epoch, ++this.#lists);
      for (const group of this.#groups()) coverage.changed.add(group);
      this.#coverages.set(node, coverage);
    }
    if (probe.sequence <= coverage.sequence) return undefined;
    coverage.sequence = probe.sequence;
    coverage.probedMs = nowMs;
    return undefined;
  }

  /** Records that something happened in groups, which may have changed what is asserted of them. */
  touched(groups: Iterable<AnsweringGroup>): void {
    for (const { changed } of this.#coverages.values()) {
      for (const group of groups) changed.add(group);
    }
  }

  /** Forgets what `node` was told; its next probe gets a full list. */
  forget(node: NodeId): void {
    this.#coverages.delete(node);
  }

  /**
   * Passes the answers to the probes since the last call to `send`. Every lease is compared with one
   * reading of the clock, which is later than the arrival of each probe.
   */
  answer(
    nowMs: number,
    standsNow: StandsNow,
    leasesOff: boolean,
    send: (to: NodeId, proofs: Proofs) => void,
  ): void {
    for (const [node, coverage] of this.#coverages) {
      if (coverage.sequence > coverage.answered) send(node, coverage.answer(standsNow, leasesOff));
      else if (nowMs - coverage.probedMs > PROBED_MS) this.#coverages.delete(node);
    }
  }
}
