/**
 * Production liveness of a few nodes, each with its own clocks that the test moves, and beats that
 * are delivered only when the test says so. Replica r of every group is on node r % 100.
 */
import { type GroupId, groupId, nodeId, type ReplicaId, replicaId } from "../../src/base/ids.ts";
import type { NodeId } from "../../src/base/ids.ts";
import type { Beat, Fortification, LivenessTiming } from "../../src/liveness/mod.ts";
import { Liveness } from "../../src/liveness/mod.ts";

/** A monotonic and a wall clock in ms. */
export class TwoClocks {
  monotonicMs = 1_000;
  wallMs = 1_700_000_000_000;
  readonly monotonic = { nowMs: (): number => this.monotonicMs };
  readonly wall = { unixMs: (): number => this.wallMs };

  /** Advances both clocks. */
  advance(ms: number): void {
    this.monotonicMs += ms;
    this.wallMs += ms;
  }

  /** Suspends the machine: only the wall clock advances. */
  suspend(ms: number): void {
    this.wallMs += ms;
  }
}

/** Maps replicas to nodes in these tests. */
export const DIRECTORY = {
  nodeOf: (replica: number): NodeId | undefined => replica < 1 ? undefined : nodeId(replica % 100),
};

/** One node. */
export class LivenessNode {
  readonly id: NodeId;
  readonly clocks = new TwoClocks();
  liveness: Liveness;
  run = 1;
  /** The last value drawn from the node's counter. */
  counter = 1;
  readonly #timing: LivenessTiming | undefined;

  constructor(id: number, timing?: LivenessTiming) {
    this.id = nodeId(id);
    this.#timing = timing;
    this.liveness = this.#start(false);
  }

  #start(mayHaveSupported: boolean): Liveness {
    return new Liveness({
      self: this.id,
      run: this.run,
      mayHaveSupported,
      monotonic: this.clocks.monotonic,
      wall: this.clocks.wall,
      directory: DIRECTORY,
      ...(this.#timing === undefined ? {} : { timing: this.#timing }),
    });
  }

  /** Begins a new run, which knows no other node. */
  restart(): void {
    this.run = ++this.counter;
    this.liveness = this.#start(true);
  }

  /** Raises the epoch as the owner must for refused epochs. */
  raiseEpochs(): number {
    const wanted = this.liveness.epochsWanted();
    for (const node of wanted) this.liveness.raiseEpoch(node, ++this.counter);
    return wanted.length;
  }

  add(group: number, replica = this.id as number): Fortification {
    return this.liveness.addGroup(groupId(group) as GroupId, replicaId(replica) as ReplicaId);
  }
}

/** Nodes 1 to `count`, which all know each other; at first no node supports another. */
export class LivenessNodes {
  readonly nodes: readonly LivenessNode[];
  /** Pairs `from>to` in which the first no longer knows the second. */
  readonly #removed = new Set<string>();

  constructor(count: number, timing?: LivenessTiming) {
    this.nodes = Array.from({ length: count }, (_, at) => new LivenessNode(at + 1, timing));
    for (const node of this.nodes) this.introduce(node);
  }

  /** Tells a node about all others. */
  introduce(node: LivenessNode): void {
    for (const { id } of this.nodes) {
      if (id !== node.id) node.liveness.addPeer(id);
    }
  }

  node(id: number): LivenessNode {
    return this.nodes[id - 1]!;
  }

  /** Makes node `at` forget the others, or take them back. */
  remove(at: number, ...others: readonly number[]): void {
    for (const other of others) {
      this.#removed.add(`${at}>${other}`);
      this.node(at).liveness.removePeer(this.node(other).id);
    }
  }

  addBack(at: number, other: number): void {
    this.#removed.delete(`${at}>${other}`);
    this.node(at).liveness.addPeer(this.node(other).id);
  }

  /** Advances the clocks of all nodes. */
  advance(ms: number): void {
    for (const { clocks } of this.nodes) clocks.advance(ms);
  }

  /** Delivers one regular beat, and the replies to it until there are none. */
  beat(from: number, to: number): void {
    this.deliver(from, to, this.node(from).liveness.beat(this.node(to).id));
  }

  /** Delivers `beat`, and the replies to it until there are none. */
  deliver(from: number, to: number, beat: Beat): void {
    const answer = this.node(to).liveness.receive(this.node(from).id, beat);
    if (typeof answer === "object") this.deliver(to, from, answer);
  }

  /** Delivers regular beats between all pairs. */
  round(): void {
    for (const { id: from } of this.nodes) {
      for (const { id: to } of this.nodes) {
        if (from !== to && !this.#removed.has(`${from}>${to}`)) this.beat(from, to);
      }
    }
  }

  /** Makes replica `leader` of group 1 lead `term`, promised by all others. */
  fortify(groups: readonly Fortification[], leader: number, term: number): FakeReplica[] {
    const configuration = {
      voters: groups.map(({ replica }) => replica),
      votersOutgoing: [],
      learners: [],
    };
    const replicas = groups.map(({ replica }) => new FakeReplica(replica, configuration));
    for (const replica of replicas) replica.follow(leader, term);
    groups[leader - 1]!.lead(term, configuration);
    for (const { replica } of groups) {
      if (replica !== leader) this.reply(groups, replicas[replica - 1]!, leader, term);
    }
    return replicas;
  }

  /** Delivers a reply of `from` to `leader`; returns whether it fortified. */
  reply(
    groups: readonly Fortification[],
    from: FakeReplica,
    leader: number,
    term: number,
  ): boolean {
    const node = this.node(from.id);
    const epoch = node.liveness.supportedEpoch(this.node(leader).id);
    const fortifies = groups[from.id - 1]!.fortify({ to: leader, term }, from, epoch);
    if (fortifies) {
      groups[leader - 1]!.fortified({ replica: from.id, term, run: node.run, epoch });
    }
    return fortifies;
  }
}

/** The part of a replica that liveness reads. */
export class FakeReplica {
  readonly id: number;
  configuration: {
    readonly voters: readonly number[];
    readonly votersOutgoing: readonly number[];
    readonly learners: readonly number[];
  };
  role = "follower";
  lead = 0;
  term = 0;
  isAllowed = true;

  constructor(id: number, configuration: FakeReplica["configuration"]) {
    this.id = id;
    this.configuration = configuration;
  }

  isLeaseAllowed(): boolean {
    return this.isAllowed;
  }

  follow(lead: number, term: number): void {
    this.role = lead === this.id ? "leader" : "follower";
    this.lead = lead;
    this.term = term;
  }
}
