/**
 * One group of production cores under production liveness, in true time: each node has clocks with
 * their own rate; frames are delayed, lost, duplicated and reordered; nodes restart, are paused or
 * suspended. Each time a lease is read, it is compared with the true state of the other nodes at
 * that moment.
 *
 * The owner's part (frames, promises with replies, ticks) is implemented here in the simplest form;
 * the simulator runs the real one.
 */
import { groupId, type NodeId, nodeId, replicaId } from "../../src/base/ids.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import type { Beat, Fortification, LivenessTiming } from "../../src/liveness/mod.ts";
import { Liveness } from "../../src/liveness/mod.ts";
import type { Message, Ready } from "../../src/raft/mod.ts";
import {
  confChangeOf,
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  MemoryStorage,
  RaftNode,
} from "../../src/raft/mod.ts";
import { DIRECTORY } from "./liveness_nodes.ts";

/** Possible faults in one run; each probability is per step or per frame. */
export interface Faults {
  readonly nodes: number;
  /** Clocks run at `1 ± drift` of true time, at either end. */
  readonly drift: number;
  readonly loss: number;
  readonly repeat: number;
  readonly late: number;
  readonly restart: number;
  readonly pause: number;
  readonly suspend: number;
  readonly cut: number;
  readonly transfer: number;
  readonly change: number;
  /** Followers that campaign without waiting for a timeout. */
  readonly campaign: number;
  /** Without pre-vote and check-quorum, only promises keep a leader. */
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** A leader whose followers promised sends no heartbeats. */
  readonly sleeps: boolean;
}

/**
 * Times that make drift visible: clocks are off by five percent, and the margin covers a jump only.
 * Wall clocks are exact with this timing; with the production timing they count whole milliseconds.
 */
export const DRIFTING: LivenessTiming = {
  beatMs: 300,
  supportMs: 2_000,
  driftPpm: 50_000,
  slewPpm: 0,
  marginMs: 20,
  jumpMs: 20,
  echoMsMax: 1_000,
  turnLateMs: 1_000,
};

const GROUP = 1;
const TICK_MS = 100;
const TURN_MS_MAX = 40;

interface Frame {
  readonly run: number;
  readonly supports: number;
  readonly beat: Beat | undefined;
  readonly messages: readonly { readonly message: Message; readonly fortifies: boolean }[];
}

/** One node with its one replica, which has the node's id. */
class WorldNode {
  readonly id: NodeId;
  readonly rate: number;
  readonly storage = new MemoryStorage();
  counter = 0;
  run = 0;
  isUp = false;
  /**
   * The node does nothing until then; while it is suspended its monotonic clock stands still, too.
   */
  stoppedUntilMs = 0;
  #trueMs = 0;
  #monotonicMs: number;
  #wallMs: number;
  lastTickMs = 0;
  liveness!: Liveness;
  group!: Fortification;
  raft!: RaftNode;
  /** The highest epoch of each node that this run was seen to no longer support. */
  ended = new Map<NodeId, number>();
  supported = new Map<NodeId, number>();

  constructor(id: number, rate: number, entropy: SeededEntropy) {
    this.id = nodeId(id);
    this.rate = rate;
    this.#monotonicMs = entropy.unit() * 10_000;
    this.#wallMs = entropy.unit() * 1e12;
  }

  /** Advances true time to `trueMs`. */
  pass(trueMs: number, isSuspended = false): void {
    const passedMs = (trueMs - this.#trueMs) * this.rate;
    this.#trueMs = trueMs;
    this.#wallMs += passedMs;
    if (!isSuspended) this.#monotonicMs += passedMs;
  }

  get nowMs(): number {
    return this.#monotonicMs;
  }

  start(
    peers: readonly NodeId[],
    timing: LivenessTiming,
    { preVote, checkQuorum }: Faults,
    entropy: SeededEntropy,
  ): void {
    // Made durable together with the promise: the counter, and whether it may have supported.
    const mayHaveSupported = this.counter > 0;
    this.run = ++this.counter;
    this.isUp = true;
    this.ended = new Map();
    this.supported = new Map();
    this.liveness = new Liveness({
      self: this.id,
      run: this.run,
      mayHaveSupported,
      monotonic: { nowMs: () => this.#monotonicMs },
      wall: { unixMs: () => timing.slewPpm === 0 ? this.#wallMs : Math.floor(this.#wallMs) },
      directory: DIRECTORY,
      timing,
    });
    for (const peer of peers) if (peer !== this.id) this.liveness.addPeer(peer);
    this.group = this.liveness.addGroup(groupId(GROUP), replicaId(this.id));
    this.raft = RaftNode.start({
      id: this.id,
      storage: this.storage,
      applied: this.storage.snapshot()!.index,
      support: this.group,
      entropy,
      electionTicks: 10,
      heartbeatTicks: 2,
      preVote,
      checkQuorum,
    });
    this.lastTickMs = this.#monotonicMs;
  }
}

/** Counts of the situations that a test must have covered. */
export interface Witnessed {
  /** Reads that found a lease held. */
  leases: number;
  /** Terms in which any replica led. */
  leaders: Set<number>;
}

/** A cluster in true time. */
export class LivenessWorld {
  readonly witnessed: Witnessed = { leases: 0, leaders: new Set() };
  readonly #entropy: SeededEntropy;
  #faults: Faults;
  readonly #timing: LivenessTiming;
  readonly #nodes: WorldNode[];
  readonly #events: { readonly atMs: number; readonly run: () => void }[] = [];
  /** `from>to` pairs whose frames are lost. */
  readonly #cuts = new Set<string>();
  #trueMs = 0;
  /** The index up to which some leader committed, so that entries may have been acknowledged. */
  #committed = 0;

  constructor(seed: number, faults: Faults, timing: LivenessTiming = DRIFTING) {
    this.#entropy = new SeededEntropy(seed);
    this.#faults = faults;
    this.#timing = timing;
    const ids = Array.from({ length: faults.nodes }, (_, at) => at + 1);
    this.#nodes = ids.map((id) => {
      const rate = 1 + faults.drift * (this.#chance(0.5) ? 1 : -1);
      return new WorldNode(id, rate, this.#entropy);
    });
    const configuration = { ...EMPTY_CONFIGURATION, voters: ids };
    for (const node of this.#nodes) {
      node.storage.applySnapshot({ index: 1, term: 1, configuration, data: EMPTY_DATA });
      node.storage.setHardState({ term: 1, vote: 0, commit: 1 });
      this.#start(node);
    }
  }

  /** Runs the cluster for `trueMs`. */
  run(trueMs: number): Witnessed {
    const endMs = this.#trueMs + trueMs;
    for (;;) {
      const event = this.#events[0];
      if (event === undefined || event.atMs > endMs) return this.witnessed;
      this.#events.shift();
      this.#trueMs = event.atMs;
      event.run();
    }
  }

  /** Stops all faults and requests; lost data stays lost. */
  heal(): void {
    const { checkQuorum, drift, nodes, preVote } = this.#faults;
    const none = { loss: 0, repeat: 0, late: 0, restart: 0, pause: 0, suspend: 0, cut: 0 };
    const calm = { transfer: 0, change: 0, campaign: 0, sleeps: false };
    this.#faults = { nodes, drift, preVote, checkQuorum, ...none, ...calm };
    this.#cuts.clear();
  }

  /** Reports whether a leader that a quorum supports has applied an entry of its term. */
  isServed(): boolean {
    return this.#nodes.some(({ group, raft }) => {
      return raft.role === "leader" && group.hasQuorum(raft.term) &&
        raft.committed === raft.applied &&
        raft.committed >= this.#committed && raft.entryTerm(raft.applied) === raft.term;
    });
  }

  #chance(probability: number): boolean {
    return this.#entropy.unit() < probability;
  }

  #upTo(max: number): number {
    return this.#entropy.unit() * max;
  }

  #after(delayMs: number, run: () => void): void {
    const atMs = this.#trueMs + Math.max(0, delayMs);
    let [lo, hi] = [0, this.#events.length];
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (this.#events[mid]!.atMs <= atMs) lo = mid + 1;
      else hi = mid;
    }
    this.#events.splice(lo, 0, { atMs, run });
  }

  /** Runs `work` at `node` once it is running, in its current run only. */
  #at(node: WorldNode, delayMs: number, work: () => void): void {
    const { run } = node;
    this.#after(delayMs, () => {
      if (!node.isUp || node.run !== run) return;
      const waitMs = node.stoppedUntilMs - this.#trueMs;
      if (waitMs > 0) {
        this.#at(node, waitMs, work);
        return;
      }
      node.pass(this.#trueMs);
      work();
    });
  }

  #start(node: WorldNode): void {
    node.pass(this.#trueMs);
    node.start(this.#nodes.map(({ id }) => id), this.#timing, this.#faults, this.#entropy);
    this.#turnLater(node);
  }

  #turnLater(node: WorldNode): void {
    this.#at(node, this.#upTo(TURN_MS_MAX), () => {
      this.#turn(node);
      this.#turnLater(node);
    });
  }

  #turn(node: WorldNode): void {
    const { group, liveness, raft } = node;
    liveness.poll();
    for (const peer of liveness.epochsWanted()) {
      const epoch = ++node.counter;
      // Becomes durable some time later; until then nothing is requested under it.
      this.#at(node, this.#upTo(50), () => {
        if (epoch > (liveness.receivedFrom(peer)?.epoch ?? 0)) liveness.raiseEpoch(peer, epoch);
      });
    }
    while (node.nowMs - node.lastTickMs >= TICK_MS) {
      node.lastTickMs += TICK_MS;
      const isAsleep = this.#faults.sleeps && raft.isLeaseAllowed() &&
        group.hasQuorum(raft.term);
      if (!isAsleep) raft.tick();
    }
    this.#act(node);
    this.#work(node);
    for (const to of liveness.dueBeats()) this.#send(node, to, liveness.beat(to), []);
    this.#look(node);
    this.#fail(node);
  }

  /** Simulates requests of clients, operators and impatient replicas. */
  #act({ group, raft }: WorldNode): void {
    const { change, campaign, transfer } = this.#faults;
    if (this.#chance(campaign)) raft.campaign();
    if (raft.role !== "leader") return;
    if (this.#chance(0.1)) raft.propose(new Uint8Array(1));
    const other = this.#nodes[Math.floor(this.#upTo(this.#nodes.length))]!.id;
    if (this.#chance(transfer)) raft.transferLeader(other);
    if (!this.#chance(change)) return;
    const isVoter = raft.configuration.voters.includes(other);
    // If one of two voters removes itself, the other may never learn of it.
    if (other === raft.lead && raft.configuration.voters.length === 2) return;
    const voters = raft.configuration.voters.filter((id) => id !== other);
    const next = { ...raft.configuration, voters: isVoter ? voters : [...voters, other] };
    if (!this.#chance(0.5) && !group.supportsIncoming(next)) return;
    raft.proposeConfChange({
      transition: this.#chance(0.5) ? "auto" : "joint_implicit",
      changes: [{ kind: isVoter ? "add_learner" : "add_voter", replica: other }],
      context: EMPTY_DATA,
    });
  }

  #work(node: WorldNode): void {
    const { group, raft, storage } = node;
    const outgoing = new Map<number, Message[]>();
    while (raft.hasReady()) {
      const ready = raft.ready();
      if (ready.hardState !== undefined) storage.setHardState(ready.hardState);
      if (ready.snapshot !== undefined) storage.applySnapshot(ready.snapshot);
      storage.append(ready.entries);
      this.#apply(node, ready);
      for (const message of ready.messages) {
        const list = outgoing.get(message.to);
        if (list === undefined) outgoing.set(message.to, [message]);
        else list.push(message);
        if (message.type === "snapshot") raft.reportSnapshot(message.to, "arrived");
      }
      raft.advance();
    }
    if (raft.role === "leader") {
      this.witnessed.leaders.add(raft.term);
      this.#committed = Math.max(this.#committed, raft.committed);
      group.lead(raft.term, raft.configuration);
    } else {
      group.stopLeading();
    }
    for (const [to, messages] of outgoing) this.#send(node, nodeId(to), undefined, messages);
  }

  #apply({ raft, storage }: WorldNode, { committedEntries }: Ready): void {
    for (const entry of committedEntries) {
      const { index, term } = entry;
      if (index <= storage.snapshot()!.index) continue;
      const change = confChangeOf(entry);
      if (change === undefined) continue;
      const configuration = raft.applyConfChange(change, index);
      storage.setSnapshot({ index, term, configuration, data: EMPTY_DATA });
    }
  }

  #send(node: WorldNode, to: NodeId, beat: Beat | undefined, messages: readonly Message[]): void {
    const supports = node.liveness.supportedEpoch(to);
    const frame: Frame = {
      run: node.run,
      supports,
      beat,
      messages: messages.map((message) => {
        const isReply = message.type === "append_reply" || message.type === "heartbeat_reply";
        return { message, fortifies: isReply && node.group.fortify(message, node.raft, supports) };
      }),
    };
    const copies = this.#chance(this.#faults.repeat) ? 3 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#chance(this.#faults.loss)) continue;
      const delayMs = this.#chance(this.#faults.late) ? this.#upTo(4_000) : 0.2 + this.#upTo(3);
      this.#after(delayMs, () => this.#arrive(node.id, to, frame));
    }
  }

  #arrive(from: NodeId, to: NodeId, frame: Frame): void {
    if (this.#cuts.has(`${from}>${to}`)) return;
    const node = this.#nodes[to - 1]!;
    this.#at(node, 0, () => {
      if (frame.beat !== undefined) this.#takeBeat(node, from, frame.beat);
      for (const { message, fortifies } of frame.messages) {
        if (fortifies) {
          const { term } = message;
          node.group.fortified({ replica: from, term, run: frame.run, epoch: frame.supports });
        }
        node.raft.step(message);
      }
      this.#work(node);
      this.#look(node);
    });
  }

  #takeBeat(node: WorldNode, from: NodeId, beat: Beat): void {
    const answer = node.liveness.receive(from, beat);
    if (typeof answer === "string") throw new Error(`An honest beat was refused: ${answer}`);
    if (answer !== undefined) this.#send(node, from, answer, []);
    // A read arrives just before the support that it relies on expires.
    const leftMs = node.liveness.supportUntilMs(from) - node.nowMs;
    if (leftMs > 0) this.#at(node, (leftMs - 0.01) / node.rate, () => this.#look(node));
  }

  /** Compares the state that `node` relies on with the truth. */
  #look(node: WorldNode): void {
    for (const { id } of this.#nodes) {
      const epoch = node.liveness.supportedEpoch(id);
      const before = node.supported.get(id) ?? 0;
      if (before !== 0 && epoch !== before) node.ended.set(id, before);
      node.supported.set(id, epoch);
    }
    if (!node.group.hasLease(node.raft, node.liveness.nowMs())) return;
    this.witnessed.leases++;
    if (node.raft.committed < this.#committed) {
      throw new Error(`Node ${node.id} holds a lease and lacks entry ${this.#committed}`);
    }
    for (const other of this.#nodes) if (other !== node) this.#compare(node, other);
  }

  #compare(leader: WorldNode, other: WorldNode): void {
    const { term } = leader.raft;
    const name = `Node ${leader.id} holds a lease in term ${term}`;
    if (other.isUp && other.raft.role === "leader" && other.raft.term > term) {
      throw new Error(`${name}, and node ${other.id} leads term ${other.raft.term}`);
    }
    if (!leader.group.isFortifiedBy(other.id)) return;
    const { hardState } = other.storage.initialState();
    if (hardState.term > term && hardState.vote !== 0) {
      throw new Error(`${name} and counts node ${other.id}, which voted in ${hardState.term}`);
    }
    const { epoch, run } = leader.liveness.receivedFrom(other.id)!;
    if (other.run === run && (other.ended.get(leader.id) ?? 0) >= epoch) {
      throw new Error(`${name} and counts node ${other.id}, whose support of ${epoch} ended`);
    }
    if (other.isUp && other.run !== run && other.liveness.mayVote()) {
      throw new Error(`${name} and counts run ${run} of node ${other.id}, which votes in the next`);
    }
  }

  #fail(node: WorldNode): void {
    const { cut, pause, restart, suspend } = this.#faults;
    if (this.#chance(cut)) this.#cut(node);
    if (this.#chance(pause)) {
      node.stoppedUntilMs = this.#trueMs + this.#upTo(3_000);
    } else if (this.#chance(suspend)) {
      const forMs = this.#upTo(this.#chance(0.5) ? 60 : 4_000);
      node.stoppedUntilMs = this.#trueMs + forMs;
      // The monotonic clock stood still until it wakes.
      this.#after(forMs - 1e-6, () => node.pass(this.#trueMs, true));
    } else if (this.#chance(restart)) {
      node.isUp = false;
      this.#after(this.#upTo(this.#chance(0.5) ? 50 : 3_000), () => this.#start(node));
    }
  }

  #cut({ id }: WorldNode): void {
    const other = this.#nodes[Math.floor(this.#upTo(this.#nodes.length))]!.id;
    const isBothWays = this.#chance(0.5);
    const cuts = isBothWays ? [`${id}>${other}`, `${other}>${id}`] : [`${id}>${other}`];
    for (const link of cuts) this.#cuts.add(link);
    this.#after(this.#upTo(6_000), () => {
      for (const link of cuts) this.#cuts.delete(link);
    });
  }
}
