/**
 * Nodes of one cluster over a stepped world, with everything from a join to balanced leaders, but
 * no network: frames, images and reports pass through memory, and a test may cut links or kill
 * nodes.
 */
import type { JoinClusterReply, JoinClusterRequest } from "../../schemas/gen/wire.ts";
import { defined } from "../../src/base/assert.ts";
import { nodeId as toNodeId, partitionId, replicaId } from "../../src/base/ids.ts";
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import {
  ClusterGroups,
  type JoinedCluster,
} from "../../src/replication/assembly/cluster_groups.ts";
import type { PeerInput } from "../../src/replication/group_host.ts";
import { Joining } from "../../src/replication/placement/joining.ts";
import { PlacementWork } from "../../src/replication/placement/placement_work.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import { EventFeed } from "../../src/store/event_feed.ts";
import { StoreShared } from "../../src/store/shared.ts";
import { Process, SteppedWorld } from "./stepped_world.ts";

const NO_PIN = new Uint8Array(32);
const NO_CLUSTER = new Uint8Array(16);

/** A node while it runs. */
export interface PlacedNode {
  readonly id: number;
  readonly groups: ClusterGroups;
  readonly work: PlacementWork;
  readonly joining: Joining;
}

interface Running {
  readonly process: Process;
  input: PeerInput | undefined;
}

/** Nodes of one cluster. */
export class PlacedNodes {
  readonly world: SteppedWorld;
  readonly partitionCount: number;
  readonly nodes = new Map<number, PlacedNode>();
  /** Pairs whose link is cut, as `from-to`. */
  readonly cut = new Set<string>();
  readonly #disks = new Map<number, MemoryDisk>();
  readonly #processes = new Map<number, Running>();
  readonly #joined = new Map<number, JoinClusterReply>();

  /** The highest apply version of partitions that the program of each node knows; default: 1. */
  readonly partitionVersions = new Map<number, number>();

  /** Bans a node that was removed. */
  ban: (node: number) => Promise<void> = () => Promise.resolve();

  constructor({ seed = 1, partitionCount = 8 } = {}) {
    this.world = new SteppedWorld(seed);
    this.partitionCount = partitionCount;
  }

  /** Creates the cluster on node 1, which describes itself. */
  async found(zone = "", { applyVersionMax = 2 } = {}): Promise<PlacedNode> {
    const node = await this.create();
    const request = { ...this.request(1, zone), applyVersionMax };
    await this.world.wait(node.joining.join(request, "self"));
    return node;
  }

  /** Creates the cluster on node 1, which has not described itself yet. */
  async create(): Promise<PlacedNode> {
    return await this.world.wait(this.#open(1));
  }

  /** Joins a node by a request to node `at`, and starts it. */
  async join(
    id: number,
    { at = 1, zone = "", applyVersionMax = 2, isStandby = false } = {},
  ): Promise<PlacedNode> {
    const request = { ...this.request(id, zone), applyVersionMax, isStandby };
    const reply = await this.world.wait(this.node(at).joining.join(request));
    this.#joined.set(reply.nodeId, reply);
    return await this.world.wait(this.#open(reply.nodeId, joinedOf(reply, true)));
  }

  /** Kills the node between two turns; its disk stays. */
  crash(id: number): void {
    defined(this.#processes.get(id), "The node must run").process.kill();
    this.#processes.delete(id);
    this.nodes.delete(id);
    this.#disks.get(id)!.crash();
    for (const { input } of this.#processes.values()) input?.peerLost(toNodeId(id));
    for (const { work } of this.nodes.values()) work.balance.disturbed();
  }

  /** Leaves a node's disk no room for writes, or gives it all room again. */
  fillDisk(id: number, isFull = true): void {
    this.#disks.get(id)!.capacityBytes = isFull ? 0 : Infinity;
  }

  /** Starts a crashed node again. */
  async restart(id: number): Promise<PlacedNode> {
    const reply = this.#joined.get(id);
    const joined = reply === undefined ? undefined : joinedOf(reply, false);
    return await this.world.wait(this.#open(id, joined));
  }

  node(id: number): PlacedNode {
    return defined(this.nodes.get(id), "The node must run");
  }

  /** Advances time until `isThere` returns true. */
  async until(what: string, isThere: () => boolean, withinMs = 60_000): Promise<void> {
    for (let waitedMs = 0; !isThere(); waitedMs += 100) {
      if (waitedMs > withinMs) throw new Error(`Not within ${withinMs} ms: ${what}`);
      await this.world.pass(100);
    }
  }

  /** Returns the voters of a partition by its leader's configuration; empty without a leader. */
  votersOf(partition: number): number[] {
    for (const { groups } of this.nodes.values()) {
      const here = groups.partition(partitionId(partition));
      if (here === undefined || !here.group.isLeading) continue;
      const { voters, votersOutgoing } = here.group.configuration;
      if (votersOutgoing.length > 0) return [];
      const { replicas, members } = groups.system.store.state;
      return voters.map((replica) =>
        replica === 1 ? members.founder ?? 0 : replicas.replica(replica)?.nodeId ?? 0
      ).sort();
    }
    return [];
  }

  /** Returns the number of partitions that each node leads. */
  leads(): number[] {
    return [...this.nodes.values()].map(({ groups }) =>
      [...groups.partitions].filter(({ group }) => group.isLeading).length
    );
  }

  /** Returns the request of a node to join under the next number. */
  request(id: number, zone = ""): JoinClusterRequest {
    return {
      nodeId: 0,
      folderId: new Uint8Array(16).fill(id),
      clusterId: NO_CLUSTER,
      region: "eu",
      partitionCount: this.partitionCount,
      zone,
      host: "",
      applyVersionMax: 2,
      program: "",
      isStandby: false,
      addresses: [],
      pin: NO_PIN,
      nextPin: NO_PIN,
    };
  }

  async #open(id: number, joined?: JoinedCluster): Promise<PlacedNode> {
    const process = new Process(this.world);
    const running: Running = { process, input: undefined };
    const disk = this.#disks.get(id) ?? new MemoryDisk();
    this.#disks.set(id, disk);
    this.#processes.set(id, running);
    const groups = await ClusterGroups.open({
      nodeId: toNodeId(id),
      world: process,
      logger: SILENT_LOGGER,
      log: { storage: disk.open(process) },
      logEvents: { cut: () => {}, poisoned: () => {}, writable: () => {}, synced: () => {} },
      peers: {
        send: (to, frame) => this.#post(id, to, (input) => input.receive(toNodeId(id), frame)),
        sendImage: (to, header, image, done) => {
          this.#post(id, to, (input) => input.receiveImage(toNodeId(id), header, image));
          this.world.after(2, () => done(true));
        },
      },
      connect: (input) => {
        running.input = input;
        for (const [other, { input: theirs }] of this.#processes) {
          if (other === id) continue;
          input.peerConnected(toNodeId(other));
          theirs?.peerConnected(toNodeId(id));
        }
      },
      shared: new StoreShared({ bytesMax: 2 ** 26, hashSeed: new Uint8Array(16) }),
      sink: new EventFeed(),
      partitionVersionMax: this.partitionVersions.get(id) ?? 1,
      region: "eu",
      partitionCount: this.partitionCount,
      ...(joined === undefined ? {} : { joined }),
    });
    const work = new PlacementWork({
      groups,
      self: toNodeId(id),
      world: process,
      logger: SILENT_LOGGER,
      onPlace: () => {},
      report: async (node, done) => await this.nodes.get(node)?.work.runner.reported(done, id),
      isConnected: (node) => this.#processes.has(node) && !this.cut.has(`${id}-${node}`),
      mayLead: (node) => this.#mayLead(id, node),
      ban: (node) => this.ban(node),
    });
    work.start();
    const node = { id, groups, work, joining: new Joining(groups, process.wall) };
    this.nodes.set(id, node);
    return node;
  }

  #mayLead(from: number, node: number): boolean {
    if (!this.#processes.has(node) || this.cut.has(`${from}-${node}`)) return false;
    return this.nodes.get(node)?.groups.nodes.log.stats().writable ?? true;
  }

  #post(from: number, to: number, receive: (input: PeerInput) => void): void {
    if (this.cut.has(`${from}-${to}`)) return;
    this.world.after(1, () => {
      const { input } = this.#processes.get(to) ?? {};
      if (input !== undefined) receive(input);
    });
  }
}

function joinedOf(reply: JoinClusterReply, isNew: boolean): JoinedCluster {
  const nodes = new Map(reply.systemReplicas.map(({ replica, nodeId }) => [replica, nodeId]));
  return {
    replica: replicaId(reply.replica),
    isNew,
    directory: {
      nodeOf: (replica) => {
        const node = nodes.get(replica);
        return node === undefined ? undefined : toNodeId(node);
      },
    },
  };
}
