/**
 * Liveness of nodes: who supports whom, and what of it this node may count on. One beat for each pair
 * of nodes stands in for the heartbeats of all their groups.
 *
 * This node asks each other one for support under an epoch, with every beat. The other supports it for
 * a fixed time from the receipt of a beat that echoes one of its own lately sent (a link that carries
 * one way only gives no support), and says so in its next beat; the asker counts on it from when the
 * answered beat was sent. Support that lapsed is withdrawn for good, and goes on only under a higher
 * epoch. Pure: it takes beats and gives them, over passed clocks; there are no timers. Clock
 * assumptions: `timing.ts`. Source: design notes in src/raft/DESIGN.md ("Why two leaders…").
 */
import { assert } from "../base/assert.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/ids.ts";
import type { MonotonicClock, WallClock } from "../base/world.ts";
import { type Beat, type BeatRefusal, type GroupTerm, isBeat } from "./beat.ts";
import type { Fortification } from "./fortification.ts";
import { LeaseBook } from "./lease.ts";
import { LedGroups } from "./led_groups.ts";
import { type Peer, Peers, type ReplicaNodes } from "./peers.ts";
import { countedMs, LIVENESS_TIMING, type LivenessTiming } from "./timing.ts";

/** What liveness is made with. */
export interface LivenessOptions {
  readonly self: NodeId;
  /**
   * This start of the node: from 1, drawn from the node's counter, and durable before the first beat.
   * All epochs are drawn from the same counter, each durable before {@link Liveness.raiseEpoch}.
   */
  readonly run: number;
  /**
   * Whether an earlier run may have supported anybody. The owner makes that true durably before it
   * calls {@link Liveness.addPeer} for the first time.
   */
  readonly mayHaveSupported: boolean;
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly directory: ReplicaNodes;
  /** False: no leases at all, for machines that may be paused with both clocks. Default true. */
  readonly areLeasesOn?: boolean;
  readonly timing?: LivenessTiming;
}

/** What happened since the last poll. */
export interface LivenessNews {
  /** This node's support of these lapsed: groups led from there wake, and campaign. */
  readonly withdrawn: readonly NodeId[];
  /** Support began anew, given or counted on: groups with a member there wake. */
  readonly returned: readonly NodeId[];
  /** Support of these is not counted on any more: groups led here with a voter there wake. */
  readonly lost: readonly NodeId[];
  /**
   * These groups lack, where they are led here, a promise that a member made, which is to come again;
   * or were released from their own: they wake.
   */
  readonly wake: readonly GroupId[];
  /** The clocks say that this node stood still: all support from before is void. */
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
   * Begins to ask `node` for support, and may support it.
   *
   * @throws RegistryError `overloaded` beyond `LIVENESS_PEERS_MAX` nodes.
   */
  addPeer(node: NodeId): void {
    if (node === this.#self) throw new RangeError(`Node ${node} is this node itself`);
    this.#peers.add(node);
  }

  /** Asks `node` no more. What was promised to it is held until it lapses. */
  removePeer(node: NodeId): void {
    this.#peers.remove(node);
  }

  /** Nodes to which a regular beat is due now; none while this node is stalled. */
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
   * The regular beat to send to `node` now; notes its send time.
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
    const key = peer.standing?.id ?? 0;
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
   * Takes a beat of `node`, which the owner knows it to be from. Returns the answer to send at once,
   * if there is one, or by a code why the beat was not taken; one that is late or repeated says
   * nothing. Never throws for what it holds.
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

  /** Whether what `beat` says of this run's beats and epochs can be: it was all sent. */
  #isPossible(peer: Peer, { echo, refused, supports }: Beat): boolean {
    return echo <= peer.sent.last && refused <= peer.epoch && supports <= peer.epoch;
  }

  /** What it says about support for this node. */
  #takeAnswer(peer: Peer, beat: Beat): void {
    if (peer.releases.acknowledge(beat.echo) && !peer.releases.isEmpty) {
      peer.nextBeatMs = Number.NEGATIVE_INFINITY;
    }
    if (beat.refused >= peer.epoch) {
      peer.isEpochRefused = true;
      this.#peers.uncount(peer);
    } else if (beat.supports === peer.epoch && peer.standing !== undefined) {
      assert(peer.standing.run === beat.run, "Support of an earlier run is counted on");
      const sentMs = peer.sent.sentMs(beat.granted);
      this.#peers.extend(peer.standing, sentMs + this.#countedMs);
    }
  }

  /** Its wish for support. Returns whether something changed of what is given. */
  #consider(peer: Peer, beat: Beat, nowMs: number): boolean {
    const before = this.#peers.supportedEpoch(peer);
    if (!this.#isHeard(peer, beat, nowMs)) return false;
    const outcome = peer.given.grant(beat.epoch, beat.sequence, nowMs);
    if (outcome !== "granted") return false;
    if (before !== 0) this.#peers.withdrawn.add(peer.node);
    this.#peers.returned.add(peer.node);
    return true;
  }

  /** Whether `beat` shows that its sender lately heard this node. */
  #isHeard(peer: Peer, beat: Beat, nowMs: number): boolean {
    return beat.echoRun === this.#peers.run &&
      nowMs - peer.sent.sentMs(beat.echo) <= this.#peers.timing.echoMsMax;
  }

  /**
   * An answer leaves when what is given changed, and else at most once between two regular beats, to
   * who is not supported: it learns the reason, or gets a beat to echo. So answers do not go on for
   * ever, and two nodes that support each other exchange regular beats only.
   */
  #answer(peer: Peer, beat: Beat, isNews: boolean): Beat | undefined {
    if (this.#peers.isStalled) return undefined;
    const nowMs = this.#peers.now();
    const isMissing = this.#peers.supportedEpoch(peer) !== beat.epoch;
    if (!isNews && (!isMissing || peer.isAnswered)) return undefined;
    if (!isNews) peer.isAnswered = true;
    return this.#compose(peer, nowMs, NO_GROUPS);
  }

  /** Nodes that refuse the epoch asked under: each needs a higher one, durable before it is used. */
  epochsWanted(): NodeId[] {
    const wanted: NodeId[] = [];
    for (const peer of this.#peers.active()) {
      if (peer.isEpochRefused) wanted.push(peer.node);
    }
    return wanted;
  }

  /** Asks `node` under `epoch` from now on; it is durable, and above all that were drawn before. */
  raiseEpoch(node: NodeId, epoch: number): void {
    this.#peers.raiseEpoch(node, epoch);
  }

  /** Notices lapses, suspends and late turns. Called once a turn that matters, and with beats. */
  poll(): LivenessNews {
    const nowMs = this.#peers.now();
    const { returned, wake, withdrawn } = this.#peers;
    const lost: NodeId[] = [];
    for (const peer of this.#peers.known()) {
      this.#peers.supportedEpoch(peer);
      const { counted, standing } = peer;
      const now = standing !== undefined && nowMs < standing.untilMs ? standing : undefined;
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

  /** The own monotonic time, after a look at both clocks: what leases are compared with, once a turn. */
  nowMs(): number {
    return this.#peers.now();
  }

  /** The epoch of `node` that this node supports; 0: none. Asking is what makes a lapse final. */
  supportedEpoch(node: NodeId): number {
    return this.#peers.supportedEpochOf(node);
  }

  /** False until the longest support that an earlier run may have given has run out. */
  mayVote(): boolean {
    return this.#peers.mayVote();
  }

  /** What a promise of `node` must name to count; undefined: nothing was heard of it. */
  standing(node: NodeId): { readonly epoch: number; readonly run: number } | undefined {
    return this.#peers.find(node)?.standing;
  }

  /** Until when this node may count on `node`, by its own monotonic clock; -Infinity: it may not. */
  supportUntilMs(node: NodeId): number {
    this.#peers.now();
    return this.#peers.find(node)?.standing?.untilMs ?? Number.NEGATIVE_INFINITY;
  }

  /**
   * Says that something this node rests on is stuck (a sync, the turn of a group), or goes on again.
   * Meanwhile it sends no beat and holds no lease, so that others may take over.
   */
  stall(isStalled: boolean): void {
    this.#peers.isStalled = isStalled;
  }

  /** Begins the promises of this node's replica of `group`. */
  addGroup(group: GroupId, replica: ReplicaId): Fortification {
    return this.#groups.add(group, replica);
  }

  /** Ends them: the replica is gone, and its id is never used again. */
  removeGroup(group: GroupId): void {
    this.#groups.remove(group);
  }
}
