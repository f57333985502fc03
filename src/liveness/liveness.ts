/**
 * Node liveness: which nodes support each other, and which support this node may count on. One beat
 * per pair of nodes replaces the heartbeats of all their groups.
 *
 * With every beat, this node asks each other node for support under an epoch. The other node
 * supports it for a fixed time from the receipt of a beat that echoes a beat it sent recently (a
 * link that works in one direction only gives no support), and says so in its next beat. The asking
 * node counts on that support from when it sent the beat that was answered. Lapsed support is
 * withdrawn for good, and continues only under a higher epoch. Pure: it takes and returns beats,
 * and reads the clocks passed to it; there are no timers. Clock assumptions: `timing.ts`. Source:
 * design notes in src/raft/DESIGN.md ("Why two leaders…").
 */
import { assert } from "../base/assert.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/ids.ts";
import type { MonotonicClock, WallClock } from "../base/world.ts";
import { type Beat, type BeatRefusal, type GroupTerm, isBeat } from "./beat.ts";
import type { Fortification } from "./fortification.ts";
import { type LeaderLease, LeaseBook } from "./lease.ts";
import { LedGroups } from "./led_groups.ts";
import { type Peer, Peers, type ReplicaNodes } from "./peers.ts";
import { countedMs, LIVENESS_TIMING, type LivenessTiming } from "./timing.ts";

/** The options of {@link Liveness}. */
export interface LivenessOptions {
  readonly self: NodeId;
  /**
   * The number of this start of the node: from 1, drawn from the node's counter, and durable before
   * the first beat. All epochs are drawn from the same counter, each durable before
   * {@link Liveness.raiseEpoch}.
   */
  readonly run: number;
  /**
   * Whether an earlier run may have supported any node. The owner makes this durable before it
   * calls {@link Liveness.addPeer} for the first time.
   */
  readonly mayHaveSupported: boolean;
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly directory: ReplicaNodes;
  /**
   * Whether leases are used; false for machines that may be paused together with both clocks.
   * Default true.
   */
  readonly areLeasesOn?: boolean;
  readonly timing?: LivenessTiming;
}

/** The changes since the last poll. */
export interface LivenessNews {
  /** Nodes whose support by this node lapsed: groups led from there wake up and campaign. */
  readonly withdrawn: readonly NodeId[];
  /**
   * Nodes with which support started again, given or counted on: groups with a member there wake
   * up.
   */
  readonly returned: readonly NodeId[];
  /** Nodes whose support no longer counts: groups led here with a voter there wake up. */
  readonly lost: readonly NodeId[];
  /**
   * Groups to wake: groups led here that miss a promise a member made, which must be sent again,
   * and groups released from their own promise.
   */
  readonly wake: readonly GroupId[];
  /**
   * Whether the clocks show that this node did not run for a while: all earlier support is void.
   */
  readonly voided: boolean;
}

const NO_GROUPS: readonly GroupTerm[] = [];

/** The liveness of one node towards all others. */
export class Liveness {
  readonly #self: NodeId;
  readonly #peers: Peers;
  readonly #groups: LedGroups;
  readonly #countedMs: number;

  constructor(options: LivenessOptions) {
    const { directory, mayHaveSupported, monotonic, run, self, wall } = options;
    const timing = options.timing ?? LIVENESS_TIMING;
    this.#self = self;
    this.#peers = new Peers({ run, mayHaveSupported, monotonic, wall, timing });
    this.#countedMs = countedMs(timing);
    this.#groups = new LedGroups({
      peers: this.#peers,
      leases: new LeaseBook(this.#peers),
      directory,
      areLeasesOn: options.areLeasesOn ?? true,
    });
  }

  /**
   * Starts to ask `node` for support; from now on this node may support it.
   *
   * @throws RegistryError `overloaded` beyond `LIVENESS_PEERS_MAX` nodes.
   */
  addPeer(node: NodeId): void {
    if (node === this.#self) throw new RangeError(`Node ${node} is this node itself`);
    this.#peers.add(node);
  }

  /** Stops asking `node` for support. Promises made to it are kept until its support lapses. */
  removePeer(node: NodeId): void {
    this.#peers.remove(node);
  }

  /** Returns the nodes to which a regular beat is due now; none while this node is stalled. */
  dueBeats(): NodeId[] {
    const due: NodeId[] = [];
    if (this.#peers.isStalled) return due;
    const nowMs = this.#peers.now();
    for (const peer of this.#peers.active()) {
      if (nowMs >= peer.nextBeatMs) due.push(peer.node);
    }
    return due;
  }

  /**
   * Returns the regular beat to send to `node` now, and records its send time.
   *
   * @throws RangeError for a node that was not added.
   */
  beat(node: NodeId): Beat {
    const peer = this.#peers.find(node);
    if (peer === undefined) throw new RangeError(`Node ${node} was not added`);
    const nowMs = this.#peers.now();
    peer.nextBeatMs = nowMs + this.#peers.timing.beatMs;
    peer.isAnswered = false;
    return this.#compose(peer, nowMs, this.#groups.ask(peer));
  }

  #compose(peer: Peer, nowMs: number, asked: readonly GroupTerm[]): Beat {
    const supports = this.#peers.supportedEpoch(peer);
    const sequence = peer.sent.note(nowMs);
    const key = peer.received?.id ?? 0;
    return {
      run: this.#peers.run,
      sequence,
      echoRun: peer.seen === 0 ? 0 : peer.run,
      echo: peer.seen,
      epoch: peer.epoch,
      supports,
      granted: peer.given.granted,
      refused: peer.given.refused,
      promiseCount: peer.heard.count(key),
      promiseHash: peer.heard.hash(key),
      released: peer.releases.page(sequence),
      asked,
    };
  }

  /**
   * Handles a beat of `node`; the owner must have authenticated the sender. Returns the reply to
   * send at once, if there is one, or a code for a refused beat; a late or repeated beat has no
   * effect. Never throws, whatever the beat contains.
   */
  receive(node: NodeId, beat: Beat): Beat | BeatRefusal | undefined {
    const peer = this.#peers.find(node);
    if (peer === undefined) return "unknown_peer";
    const nowMs = this.#peers.now();
    const { run } = this.#peers;
    const isOfThisRun = beat.echoRun === run;
    if (!isBeat(beat) || beat.echoRun > run) return "malformed";
    if (isOfThisRun && !this.#isPossible(peer, beat)) return "malformed";
    if (beat.run < peer.run) return undefined;
    if (beat.run > peer.run) this.#peers.enterRun(peer, beat.run);
    if (beat.sequence <= peer.seen) return undefined;
    peer.seen = beat.sequence;
    if (isOfThisRun) this.#takeAnswer(peer, beat);
    const isNews = this.#consider(peer, beat, nowMs);
    this.#groups.take(peer, beat);
    return this.#answer(peer, beat, isNews);
  }

  /** Reports whether the beats and epochs of this run that `beat` names were all sent. */
  #isPossible(peer: Peer, { echo, refused, supports }: Beat): boolean {
    return echo <= peer.sent.last && refused <= peer.epoch && supports <= peer.epoch;
  }

  /** Handles the part of a beat about support for this node. */
  #takeAnswer(peer: Peer, beat: Beat): void {
    if (peer.releases.acknowledge(beat.echo) && !peer.releases.isEmpty) {
      peer.nextBeatMs = Number.NEGATIVE_INFINITY;
    }
    if (beat.refused >= peer.epoch) {
      peer.isEpochRefused = true;
      this.#peers.uncount(peer);
    } else if (beat.supports === peer.epoch && peer.received !== undefined) {
      assert(peer.received.run === beat.run, "Support of an earlier run must not be counted");
      const sentMs = peer.sent.sentMs(beat.granted);
      this.#peers.extend(peer.received, sentMs + this.#countedMs);
    }
  }

  /** Handles the sender's request for support. Reports whether the given support changed. */
  #consider(peer: Peer, beat: Beat, nowMs: number): boolean {
    const before = this.#peers.supportedEpoch(peer);
    if (!this.#isHeard(peer, beat, nowMs)) return false;
    const outcome = peer.given.grant(beat.epoch, beat.sequence, nowMs);
    if (outcome !== "granted") return false;
    if (before !== 0) this.#peers.withdrawn.add(peer.node);
    this.#peers.returned.add(peer.node);
    return true;
  }

  /** Reports whether `beat` shows that its sender heard from this node recently. */
  #isHeard(peer: Peer, beat: Beat, nowMs: number): boolean {
    return beat.echoRun === this.#peers.run &&
      nowMs - peer.sent.sentMs(beat.echo) <= this.#peers.timing.echoMsMax;
  }

  /**
   * Returns an immediate reply if the given support changed. Otherwise it replies at most once
   * between two regular beats, to a node that is not supported: that node learns the reason, or
   * gets a beat to echo. So replies do not go on forever, and two nodes that support each other
   * exchange regular beats only.
   */
  #answer(peer: Peer, beat: Beat, isNews: boolean): Beat | undefined {
    if (this.#peers.isStalled) return undefined;
    const nowMs = this.#peers.now();
    const isMissing = this.#peers.supportedEpoch(peer) !== beat.epoch;
    if (!isNews && (!isMissing || peer.isAnswered)) return undefined;
    if (!isNews) peer.isAnswered = true;
    return this.#compose(peer, nowMs, NO_GROUPS);
  }

  /**
   * Returns the nodes that refused the current epoch: each needs a higher one, durable before it is
   * used.
   */
  epochsWanted(): NodeId[] {
    const wanted: NodeId[] = [];
    for (const peer of this.#peers.active()) {
      if (peer.isEpochRefused) wanted.push(peer.node);
    }
    return wanted;
  }

  /**
   * Asks `node` for support under `epoch` from now on. The epoch must be durable, and higher than
   * all that were drawn before.
   */
  raiseEpoch(node: NodeId, epoch: number): void {
    this.#peers.raiseEpoch(node, epoch);
  }

  /**
   * Detects lapses, suspends and late turns, and returns the changes. Called in each turn that
   * depends on support, and with beats.
   */
  poll(): LivenessNews {
    const nowMs = this.#peers.now();
    const { returned, wake, withdrawn } = this.#peers;
    const lost: NodeId[] = [];
    for (const peer of this.#peers.known()) {
      this.#peers.supportedEpoch(peer);
      const { counted, received } = peer;
      const now = received !== undefined && nowMs < received.untilMs ? received : undefined;
      if (counted === now) continue;
      if (counted !== undefined) lost.push(peer.node);
      if (now !== undefined) returned.add(peer.node);
      peer.counted = now;
    }
    const news = {
      withdrawn: [...withdrawn],
      returned: [...returned],
      lost,
      wake: [...wake] as GroupId[],
      voided: this.#peers.takeVoided(),
    };
    withdrawn.clear();
    returned.clear();
    wake.clear();
    return news;
  }

  /**
   * Returns this node's monotonic time, after a check of both clocks. Leases are compared with it;
   * call it once per turn.
   */
  nowMs(): number {
    return this.#peers.now();
  }

  /**
   * Returns the epoch of `node` that this node supports; 0 for none. This call makes a lapse final.
   */
  supportedEpoch(node: NodeId): number {
    return this.#peers.supportedEpochOf(node);
  }

  /** Reports whether the longest support that an earlier run may have given has run out. */
  mayVote(): boolean {
    return this.#peers.mayVote();
  }

  /**
   * Returns the epoch and run that a promise of `node` must name to count; undefined if nothing was
   * heard from it.
   */
  receivedFrom(node: NodeId): { readonly epoch: number; readonly run: number } | undefined {
    return this.#peers.find(node)?.received;
  }

  /**
   * Returns the time until which this node may count on `node`, by its own monotonic clock;
   * -Infinity if it may not.
   */
  supportUntilMs(node: NodeId): number {
    this.#peers.now();
    return this.#peers.find(node)?.received?.untilMs ?? Number.NEGATIVE_INFINITY;
  }

  /**
   * Records whether something this node depends on is stuck (a sync, the turn of a group). A
   * stalled node sends no beats and holds no leases, so that others may take over.
   */
  stall(isStalled: boolean): void {
    this.#peers.isStalled = isStalled;
  }

  /** Reports whether a lease stands at `nowMs` of {@link nowMs}. */
  stands(lease: LeaderLease, nowMs: number): boolean {
    return nowMs < lease.untilMs && !this.#peers.isStalled;
  }

  /** Starts the promises of this node's replica of `group`. */
  addGroup(group: GroupId, replica: ReplicaId): Fortification {
    return this.#groups.add(group, replica);
  }

  /** Ends the promises of a replica that is gone; its id is never used again. */
  removeGroup(group: GroupId): void {
    this.#groups.remove(group);
  }
}
