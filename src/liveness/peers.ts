/**
 * The state kept about each other node, and the one check of the clocks that everything here is
 * based on. Shared by support, leases and promises; `liveness.ts` is the public surface.
 *
 * A removed node is not forgotten in this run: promises made to it are kept until they lapse, and
 * support withdrawn from it must stay withdrawn if it is added again.
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
import { ReceivedSupport } from "./received_support.ts";
import { checkTiming, type LivenessTiming, restartWaitMs } from "./timing.ts";

/** The node of each replica. Replica ids are assigned once and never reused. */
export interface ReplicaNodes {
  nodeOf(replica: number): NodeId | undefined;
}

/** The state kept about another node. */
export class Peer {
  readonly node: NodeId;
  /** Its run, as last heard; 0 for never. */
  run = 0;
  /** The highest sequence of its beats in that run that was accepted; 0 for none. */
  seen = 0;
  /** The epoch under which this node asks for its support. */
  epoch: number;
  /** Whether it refused that epoch, so that a higher one is needed. */
  isEpochRefused = false;
  isRemoved = false;
  /** Whether it got an immediate reply since the last regular beat although nothing had changed. */
  isAnswered = false;
  nextBeatMs: number;
  /**
   * The support received from it; undefined if nothing was heard from it, or it is removed.
   */
  received: ReceivedSupport | undefined;
  readonly sent = new SentBeats();
  readonly given: GivenSupport;
  /** Promises of groups here to leaders there, by supported epoch. */
  readonly made = new Digest();
  /** Promises of groups there to leaders here that count, by the support received from it. */
  readonly heard = new Digest();
  readonly releases = new PendingReleases();
  /**
   * The difference between its count of `made` in its last beat and ours; undefined if they agree.
   */
  digestOff: string | undefined;
  /**
   * The difference at the time when everything was last asked, and the time before which it is not
   * asked again.
   */
  digestAsked: string | undefined;
  askAgainMs = Number.NEGATIVE_INFINITY;
  /** Position at which the next page of questions starts. */
  askFrom = 0;
  /** The support that counted at the last poll. */
  counted: ReceivedSupport | undefined;

  constructor(node: NodeId, epoch: number, supportMs: number, nowMs: number) {
    this.node = node;
    this.epoch = epoch;
    this.given = new GivenSupport(supportMs);
    this.nextBeatMs = nowMs;
  }
}

/** The options of {@link Peers}. */
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
  #supports = 0;
  #revision = 0;
  #isVoided = false;
  /**
   * Nodes that lost this node's support, and nodes with which support started again, since the last
   * poll.
   */
  readonly withdrawn = new Set<NodeId>();
  readonly returned = new Set<NodeId>();
  /** Groups led here that miss a promise a member made, since the last poll. */
  readonly wake = new Set<number>();
  /**
   * Whether something this node depends on is stuck: it then sends no beats and holds no leases.
   */
  isStalled = false;

  constructor({ run, mayHaveSupported, monotonic, wall, timing }: PeersOptions) {
    checkTiming(timing);
    if (!Number.isSafeInteger(run) || run < 1) {
      throw new RangeError(`A run must be an integer from 1: found ${run}`);
    }
    this.run = run;
    this.timing = timing;
    this.#guard = new ClockGuard(monotonic, wall, timing);
    this.#voteFromMs = mayHaveSupported
      ? this.#guard.nowMs + restartWaitMs(timing)
      : Number.NEGATIVE_INFINITY;
  }

  /**
   * Returns the current monotonic time. If the clocks show that this node did not run, all support
   * is void.
   */
  now(): number {
    if (!this.#guard.look()) this.#void();
    return this.#guard.nowMs;
  }

  #void(): void {
    this.#isVoided = true;
    this.#revision++;
    for (const peer of this.#peers.values()) {
      peer.received?.void();
      // Replies still on their way count from a send time that this clock can no longer place.
      peer.sent.forget();
    }
  }

  /** Reports whether all support became void since the last call. */
  takeVoided(): boolean {
    const isVoided = this.#isVoided;
    this.#isVoided = false;
    return isVoided;
  }

  /** A number that changes whenever any received support does. */
  get revision(): number {
    return this.#revision;
  }

  /** Reports whether the promises of earlier runs have run out. */
  mayVote(): boolean {
    if (this.#voteFromMs === Number.NEGATIVE_INFINITY) return true;
    if (this.now() < this.#voteFromMs) return false;
    this.#voteFromMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  /** Reports the same at `nowMs`, without side effects; for observers. */
  mayVoteAt(nowMs: number): boolean {
    return nowMs >= this.#voteFromMs;
  }

  /** The time before which this node must not vote, by its monotonic clock. */
  get voteFromMs(): number {
    return this.#voteFromMs;
  }

  /** Returns the nodes that are not removed. */
  *active(): Iterable<Peer> {
    for (const peer of this.#peers.values()) {
      if (!peer.isRemoved) yield peer;
    }
  }

  /** Returns all nodes, including removed ones. */
  known(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** Returns the state of a node that is not removed. */
  find(node: NodeId): Peer | undefined {
    const peer = this.#peers.get(node);
    return peer?.isRemoved === true ? undefined : peer;
  }

  /** Adds a node; a removed node returns with the state it had. */
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
        `Cannot add a node: this run already knew ${LIVENESS_PEERS_MAX} nodes`,
      );
    }
    // The run is drawn from the same counter as all epochs, so it is above every earlier epoch.
    this.#peers.set(node, new Peer(node, this.run, this.timing.supportMs, this.now()));
  }

  /** Stops counting on a node. Support promised to it is kept until it lapses. */
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

  /** Records a higher run of `peer`: everything that belonged to the earlier run has ended. */
  enterRun(peer: Peer, run: number): void {
    assert(run > peer.run, `The run must grow from ${peer.run}: found ${run}`);
    peer.run = run;
    peer.seen = 0;
    peer.isAnswered = false;
    // The leaders there no longer lead, and the promises made there wait out that node's restart.
    this.withdraw(peer);
    peer.releases.clear();
    this.#stand(peer);
  }

  #stand(peer: Peer): void {
    this.#revision++;
    peer.received?.end();
    const { epoch, isRemoved, node, run } = peer;
    peer.received = isRemoved || run === 0
      ? undefined
      : new ReceivedSupport({ node, epoch, run, id: ++this.#supports });
  }

  /** Returns the epoch of `peer` that is supported now; 0 for none. */
  supportedEpoch(peer: Peer): number {
    const { given } = peer;
    // Most nodes that are gone have no support; for them the clock need not be read.
    if (given.granted === 0) return 0;
    const epoch = given.epochAt(this.now());
    if (epoch === 0) this.withdrawn.add(peer.node);
    return epoch;
  }

  /** Returns the supported epoch of a node, removed or not. */
  supportedEpochOf(node: NodeId): number {
    const peer = this.#peers.get(node);
    return peer === undefined ? 0 : this.supportedEpoch(peer);
  }

  /** Ends the support of `peer` for good. */
  withdraw(peer: Peer): void {
    if (peer.given.withdraw()) this.withdrawn.add(peer.node);
  }

  /** Counts on `received` until `untilMs`. */
  extend(received: ReceivedSupport, untilMs: number): void {
    if (untilMs <= received.untilMs) return;
    received.extend(untilMs);
    this.#revision++;
  }

  /** Stops counting on `peer`, until its next reply. */
  uncount(peer: Peer): void {
    peer.received?.void();
    this.#revision++;
  }
}
