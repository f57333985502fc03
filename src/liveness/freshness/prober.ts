/**
 * The side that probes: the proofs that this node holds of its replicas, from the answers of the
 * nodes that lead their groups. Pure: its owner says when to probe, and passes on what arrives.
 *
 * An answer counts from when its probe was sent. Within an epoch each answer has the next counter, so
 * a lost one is noticed: all proofs of that node are void then, and the next epoch begins with a full
 * list. A new epoch also begins with a session, after the clocks disagreed, and when this node got
 * another replica; in the last case earlier proofs stay, as they are still true.
 */
import type { GroupId, NodeId } from "../../base/ids.ts";
import { PROBES_REMEMBERED, READ_STALENESS_MS_MAX } from "../../base/limits.ts";
import { GroupProof, ProofSeries, type ProvenReplica } from "./group_proof.ts";
import { type FreshnessRefusal, isProofs, type Probe, type Proofs } from "./messages.ts";
import { type Moment, NEVER, type ProofClock } from "./proof_clock.ts";

/** State kept for a node that is probed. */
class ProofSource {
  epoch = 1;
  sequence = 0;
  series: ProofSeries | undefined;
  leasesOff = false;
  /** Whether a replica was added that the present list may have left out. */
  lacksGroup = false;
  /** Monotonic time of the last probe. */
  sentMs = Number.NEGATIVE_INFINITY;
  readonly #sent: Moment[] = [];

  note(moment: Moment): void {
    this.sequence++;
    this.sentMs = moment.monotonicMs;
    this.#sent[this.sequence % PROBES_REMEMBERED] = moment;
  }

  /** Returns when a probe was sent; {@link NEVER} if that is forgotten. */
  sentAt(sequence: number): Moment {
    if (sequence <= this.sequence - PROBES_REMEMBERED) return NEVER;
    return this.#sent[sequence % PROBES_REMEMBERED] ?? NEVER;
  }

  /** Begins another epoch; what is known stays. */
  renew(): void {
    this.epoch++;
    this.series = undefined;
    this.lacksGroup = false;
  }

  /** Begins another epoch, and voids what is known. */
  void(): void {
    this.series?.void();
    this.renew();
  }
}

/** The proofs of the replicas of one node. */
export class Prober {
  readonly #run: () => number;
  readonly #clock: ProofClock;
  readonly #sources = new Map<NodeId, ProofSource>();
  readonly #groups = new Map<GroupId, GroupProof>();
  /** The series of earlier epochs, whose proofs may still count. */
  #past: ProofSeries[] = [];

  /** @param run returns the number of this node's run. */
  constructor(run: () => number, clock: ProofClock) {
    this.#run = run;
    this.#clock = clock;
  }

  /** Adds a replica of this node; every node is asked for a full list. */
  addGroup(group: GroupId, replica: ProvenReplica): GroupProof {
    const proof = new GroupProof(replica);
    this.#groups.set(group, proof);
    // A list that has not arrived yet finds the replica.
    for (const source of this.#sources.values()) source.lacksGroup = source.series !== undefined;
    return proof;
  }

  /** Removes a replica. */
  removeGroup(group: GroupId): void {
    this.#groups.delete(group);
  }

  /** Adds a node with which there is a session now, or another one than before. */
  connected(node: NodeId): void {
    const known = this.#sources.get(node);
    if (known === undefined) this.#sources.set(node, new ProofSource());
    else this.#void(node, known);
  }

  /** Handles the end of a session with `node`: nothing that it asserted counts any more. */
  disconnected(node: NodeId): void {
    const source = this.#sources.get(node);
    if (source !== undefined) this.#void(node, source);
  }

  /** Voids all proofs: the clocks do not say how old they are. */
  void(): void {
    for (const [node, source] of this.#sources) this.#void(node, source);
  }

  /** Begins another epoch with every node: what was not probed for a while is asked for anew. */
  restart(): void {
    for (const source of this.#sources.values()) this.#renew(source);
  }

  #void(node: NodeId, source: ProofSource): void {
    for (const series of this.#past) if (series.node === node) series.void();
    this.#past = this.#past.filter(({ isVoid }) => !isVoid);
    source.void();
  }

  #renew(source: ProofSource): void {
    if (source.series !== undefined) {
      const oldestMs = this.#clock.nowMs() - READ_STALENESS_MS_MAX;
      for (const series of this.#past) {
        if (series.newest.monotonicMs < oldestMs) series.void();
      }
      this.#past = this.#past.filter(({ isVoid }) => !isVoid);
      this.#past.push(source.series);
    }
    source.renew();
  }

  /** Returns when `node` was last probed, by the monotonic clock; -Infinity for never. */
  probedMs(node: NodeId): number {
    return this.#sources.get(node)?.sentMs ?? Number.NEGATIVE_INFINITY;
  }

  /**
   * Returns when the probe was sent that `node` answered last in the present epoch, by the monotonic
   * clock; -Infinity for none.
   */
  answeredMs(node: NodeId): number {
    return this.#sources.get(node)?.series?.newest.monotonicMs ?? Number.NEGATIVE_INFINITY;
  }

  /** Reports whether `node` said that it holds no leases. */
  areLeasesOff(node: NodeId): boolean {
    return this.#sources.get(node)?.leasesOff ?? false;
  }

  /** Returns the probe to send to `node` now, and notes when it was sent. */
  probe(node: NodeId): Probe {
    let source = this.#sources.get(node);
    if (source === undefined) this.#sources.set(node, source = new ProofSource());
    if (source.lacksGroup && source.series !== undefined) this.#renew(source);
    source.note(this.#clock.now());
    return { epoch: source.epoch, sequence: source.sequence };
  }

  /**
   * Takes an answer of `node`, from a frame of its run `run`. Returns a code if it was refused; one
   * that is late or repeated has no effect. Never throws, whatever it contains.
   */
  take(node: NodeId, run: number, proofs: Proofs): FreshnessRefusal | undefined {
    const source = this.#sources.get(node);
    if (source === undefined) return "unknown_peer";
    const isPossible = isProofs(proofs) && run > 0 && proofs.run <= this.#run() &&
      (proofs.run < this.#run() ||
        (proofs.epoch <= source.epoch && proofs.sequence <= source.sequence));
    if (!isPossible) {
      this.#void(node, source);
      return "malformed";
    }
    if (proofs.run !== this.#run() || proofs.epoch !== source.epoch) return undefined;
    const series = this.#seriesOf(node, source, run, proofs);
    if (series !== undefined) this.#apply(source, series, proofs);
    return undefined;
  }

  /** Returns the series that the answer continues; undefined if it continues none. */
  #seriesOf(
    node: NodeId,
    source: ProofSource,
    run: number,
    { list, counter }: Proofs,
  ): ProofSeries | undefined {
    const known = source.series;
    if (known === undefined) {
      if (counter === 1) return source.series = new ProofSeries(node, run, list);
    } else if (known.run === run && known.list === list) {
      if (counter <= known.counter) return undefined;
      if (counter === known.counter + 1) return known;
    }
    // An answer was lost, or the other node began anew: what it left unsaid is not known.
    this.#void(node, source);
    return undefined;
  }

  #apply(source: ProofSource, series: ProofSeries, proofs: Proofs): void {
    series.counter = proofs.counter;
    source.leasesOff = proofs.leasesOff;
    for (const { groupId, term, commitIndex } of proofs.changes) {
      // The other node may name a group whose replica is not here yet; it is asked again then.
      const proof = this.#groups.get(groupId as GroupId);
      if (term === 0) proof?.leave(series);
      else proof?.assert(series, term, commitIndex);
    }
    series.advance(source.sentAt(proofs.sequence));
  }

  /**
   * Returns the age of what holds everything up to `moment`, ms; Infinity for {@link NEVER}. Voids all
   * proofs if the clocks disagree.
   */
  ageMs(moment: Moment): number {
    const ageMs = this.#clock.ageMs(moment);
    if (ageMs === ageMs) return ageMs;
    this.void();
    return Number.POSITIVE_INFINITY;
  }
}
