/**
 * What this node knows of each other node, and the one look at the clocks that everything here is
 * judged by. Shared by support, leases and promises; `liveness.ts` is the surface.
 *
 * A node that is removed is not forgotten in this run: what was promised to it must be held until it
 * lapses, and what was withdrawn from it must stay withdrawn should it be added again.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import type { NodeId } from "../base/ids.ts";
import { LIVENESS_PEERS_MAX } from "../base/limits.ts";
import type { MonotonicClock, WallClock } from "../base/world.ts";
import { ClockGuard } from "./clock_guard.ts";
import { Digest } from "./digest.ts";
import { GivenSupport } from "./given_support.ts";
import { PendingReleases } from "./pending_releases.ts";
import { SentBeats } from "./sent_beats.ts";
import { Standing } from "./standing.ts";
import { checkTiming, type LivenessTiming, restartWaitMs } from "./timing.ts";

/** Which node a replica lives on; ids are given out once and never again. */
export interface ReplicaNodes {
  nodeOf(replica: number): NodeId | undefined;
}

/** Another node. */
export class Peer {
  readonly node: NodeId;
  /** Its run, as last heard of; 0: never. */
  run = 0;
  /** The highest sequence of its beats in that run that was taken; 0: none. */
  seen = 0;
  /** Under which this node asks for its support. */
  epoch: number;
  /** It refused that epoch, so that a higher one is needed. */
  isEpochRefused = false;
  isRemoved = false;
  /** Since the last regular beat it was answered at once, without anything having changed. */
  isAnswered = false;
  nextBeatMs: number;
  /** How this node stands with it; undefined: nothing was heard of it, or it is removed. */
  standing: Standing | undefined;
  readonly sent = new SentBeats();
  readonly given: GivenSupport;
  /** Promises of groups here to leaders there, by supported epoch. */
  readonly made = new Digest();
  /** Promises of groups there to leaders here that count, by standing. */
  readonly heard = new Digest();
  readonly releases = new PendingReleases();
  /** What it counts of `made`, by its last beat, where that is not ours; undefined: it is. */
  digestOff: string | undefined;
  /** The same when all was asked last, and until when it is not asked again. */
  digestAsked: string | undefined;
  askAgainMs = Number.NEGATIVE_INFINITY;
  /** Where the next page of what is asked begins. */
  askFrom = 0;
  /** What was counted on at the last poll. */
  counted: Standing | undefined;

  constructor(node: NodeId, epoch: number, supportMs: number, nowMs: number) {
    this.node = node;
    this.epoch = epoch;
    this.given = new GivenSupport(supportMs);
    this.nextBeatMs = nowMs;
  }
}

/** What a table of peers is made with. */
export interface PeersOptions {
  readonly run: number;
  readonly mayHaveSupported: boolean;
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly timing: LivenessTiming;
}

/** All other nodes, under one pair of clocks. */
export class Peers {
  readonly run: number;
  readonly timing: LivenessTiming;
  readonly #guard: ClockGuard;
  #voteFromMs: number;
  readonly #peers = new Map<NodeId, Peer>();
  #standings = 0;
  #revision = 0;
  #isVoided = false;
  /** Nodes that this one withdrew its support from, or supports anew, since the last poll. */
  readonly withdrawn = new Set<NodeId>();
  readonly returned = new Set<NodeId>();
  /** Groups led here in which a member's promise is missing that it made; since the last poll. */
  readonly wake = new Set<number>();
  /** Something that this node rests on is stuck: it neither beats nor holds a lease. */
  isStalled = false;

  constructor({ run, mayHaveSupported, monotonic, wall, timing }: PeersOptions) {
    checkTiming(timing);
    if (!Number.isSafeInteger(run) || run < 1) {
      throw new RangeError(`A run is an integer from 1: found ${run}`);
    }
    this.run = run;
    this.timing = timing;
    this.#guard = new ClockGuard(monotonic, wall, timing);
    this.#voteFromMs = mayHaveSupported
      ? this.#guard.nowMs + restartWaitMs(timing)
      : Number.NEGATIVE_INFINITY;
  }

  /** The own monotonic time now. When the clocks say that this node did not run, all is void. */
  now(): number {
    if (!this.#guard.look()) this.#void();
    return this.#guard.nowMs;
  }

  #void(): void {
    this.#isVoided = true;
    this.#revision++;
    for (const peer of this.#peers.values()) {
      peer.standing?.void();
      // What is on its way back counts from a send time that this clock cannot place any more.
      peer.sent.forget();
    }
  }

  /** Whether all was void since this was last asked. */
  takeVoided(): boolean {
    const isVoided = this.#isVoided;
    this.#isVoided = false;
    return isVoided;
  }

  /** Changes whenever any standing does. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether the promises of earlier runs have run out. */
  mayVote(): boolean {
    if (this.#voteFromMs === Number.NEGATIVE_INFINITY) return true;
    if (this.now() < this.#voteFromMs) return false;
    this.#voteFromMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  /** The same at `nowMs`, without any consequence: for who looks on. */
  mayVoteAt(nowMs: number): boolean {
    return nowMs >= this.#voteFromMs;
  }

  /** Of all nodes that are not removed. */
  *active(): Iterable<Peer> {
    for (const peer of this.#peers.values()) {
      if (!peer.isRemoved) yield peer;
    }
  }

  /** All of them, those that were removed too. */
  known(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** A node that is not removed. */
  find(node: NodeId): Peer | undefined {
    const peer = this.#peers.get(node);
    return peer?.isRemoved === true ? undefined : peer;
  }

  /** Adds a node, or takes one that was removed back as it was left. */
  add(node: NodeId): void {
    const known = this.#peers.get(node);
    if (known !== undefined) {
      if (!known.isRemoved) return;
      known.isRemoved = false;
      known.nextBeatMs = this.now();
      this.#stand(known);
      return;
    }
    if (this.#peers.size >= LIVENESS_PEERS_MAX) {
      throw new RegistryError(
        "overloaded",
        `No further node can be added: ${LIVENESS_PEERS_MAX} were known in this run`,
      );
    }
    // The run is drawn from the same counter as all epochs, and so above every earlier one.
    this.#peers.set(node, new Peer(node, this.run, this.timing.supportMs, this.now()));
  }

  /** Counts on a node no more, and supports it no longer than it was promised. */
  remove(node: NodeId): void {
    const peer = this.find(node);
    if (peer === undefined) return;
    peer.isRemoved = true;
    peer.sent.forget();
    peer.releases.clear();
    this.#stand(peer);
  }

  /** Asks `node` for support under `epoch` from now on. */
  raiseEpoch(node: NodeId, epoch: number): void {
    const peer = this.find(node);
    if (peer === undefined) return;
    assert(
      Number.isSafeInteger(epoch) && epoch > peer.epoch,
      `The epoch must grow from ${peer.epoch}: found ${epoch}`,
    );
    peer.epoch = epoch;
    peer.isEpochRefused = false;
    peer.nextBeatMs = this.now();
    this.#stand(peer);
  }

  /** Notes that a higher run of `peer` was heard of: what belonged to the earlier one is over. */
  enterRun(peer: Peer, run: number): void {
    assert(run > peer.run, `The run must grow from ${peer.run}: found ${run}`);
    peer.run = run;
    peer.seen = 0;
    peer.isAnswered = false;
    // Whatever led there is not leading any more, and whatever it promised waits out its restart.
    this.withdraw(peer);
    peer.releases.clear();
    this.#stand(peer);
  }

  #stand(peer: Peer): void {
    this.#revision++;
    peer.standing?.end();
    const { epoch, isRemoved, node, run } = peer;
    peer.standing = isRemoved || run === 0
      ? undefined
      : new Standing({ node, epoch, run, id: ++this.#standings });
  }

  /** The epoch of `peer` that is supported now; 0: none. */
  supportedEpoch(peer: Peer): number {
    const { given } = peer;
    // Nothing is given to most nodes that are gone; then no clock need be asked.
    if (given.granted === 0) return 0;
    const epoch = given.epochAt(this.now());
    if (epoch === 0) this.withdrawn.add(peer.node);
    return epoch;
  }

  /** The same of a node, removed or not. */
  supportedEpochOf(node: NodeId): number {
    const peer = this.#peers.get(node);
    return peer === undefined ? 0 : this.supportedEpoch(peer);
  }

  /** Ends the support of `peer` for good. */
  withdraw(peer: Peer): void {
    if (peer.given.withdraw()) this.withdrawn.add(peer.node);
  }

  /** Counts on `standing` until `untilMs`. */
  extend(standing: Standing, untilMs: number): void {
    if (untilMs <= standing.untilMs) return;
    standing.extend(untilMs);
    this.#revision++;
  }

  /** Counts on `peer` no more, until its next answer. */
  uncount(peer: Peer): void {
    peer.standing?.void();
    this.#revision++;
  }
}
