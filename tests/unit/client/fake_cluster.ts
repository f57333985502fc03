/**
 * Several scripted nodes (fake_registry.ts) with one ring map, over one memory network. Each node
 * serves the partitions that the script lets it lead, and refuses others as a real node does.
 */
import { FakeRegistry, type FakeRequest, HOST, PORT } from "./fake_registry.ts";
import { connect } from "../../../src/client/client.ts";
import { partitionOfCall } from "../../../src/client/call_key.ts";
import type {
  Client,
  ClientOptions,
  ConnectionEvent,
  ConnectParameters,
} from "../../../src/client/types.ts";
import { Partitioner } from "../../../src/ring/partition.ts";
import type { Trust } from "../../../transport/transport.ts";
import type { Placement, RingMap } from "../../../src/ring/ring_map.ts";
import { operationOfId, OPERATIONS } from "../../../src/wire/operations/mod.ts";

export const PARTITIONS = 8;
const HASH_KEY = new Uint8Array(16).fill(3);

/** Three or more scripted nodes, numbered from 1. */
export class FakeCluster {
  readonly nodes: readonly FakeRegistry[];
  readonly partitioner = new Partitioner(HASH_KEY, PARTITIONS);
  /** The actual leader of each partition; 0 for none. */
  readonly leaders: number[];
  /** Returns the hint in a refusal by node `by`; 0 for no hint. */
  hintOf: (partition: number, by: number) => number = (partition) => this.leaders[partition]!;
  termOf: (partition: number, by: number) => number = () => 1;
  /** Whether a follower can prove the age that a bounded read accepts. */
  provesAge: (partition: number, by: number) => boolean = () => true;
  /** All requests, as `node name`. */
  readonly asked: string[] = [];
  map: RingMap;

  constructor(count = 3) {
    const [first, ...others] = Array.from({ length: count }, (_, index) => index + 1);
    const seed = new FakeRegistry(undefined, hostOf(first!));
    this.nodes = [seed, ...others.map((nodeId) => new FakeRegistry(seed, hostOf(nodeId)))];
    this.leaders = Array.from({ length: PARTITIONS }, (_, partition) => 1 + partition % count);
    this.map = this.newMap(1);
    this.nodes.forEach((node, index) => {
      node.nodeId = index + 1;
      node.ringMap = () => this.map;
      node.answer = (request) => this.#answer(node, request);
    });
  }

  /** Returns a ring map with the current leaders. */
  newMap(number: number, replicas = this.nodes.map(({ nodeId }, index) => nodeId && index + 1)) {
    return {
      epoch: { generation: 1, number },
      partitionCount: PARTITIONS,
      hashKey: HASH_KEY,
      nodes: this.nodes.map(({ host }, index) => ({
        nodeId: index + 1,
        addresses: [{ transport: "quic", host, port: PORT }],
        currentPin: new Uint8Array(0),
        nextPin: new Uint8Array(0),
        zone: `zone-${index + 1}`,
      })),
      placements: this.leaders.map((leader): Placement => ({ leader, replicas })),
    };
  }

  get seed(): FakeRegistry {
    return this.nodes[0]!;
  }

  /** Returns node `nodeId`. */
  node(nodeId: number): FakeRegistry {
    return this.nodes[nodeId - 1]!;
  }

  /** Returns a client that is connected to node 1. */
  async connect(
    options: ClientOptions = {},
    onConnection: (event: ConnectionEvent) => void = () => {},
    { trust = { kind: "pins", sha256: [] }, dialed, reads = {} }: {
      readonly trust?: Trust;
      /** The default of reads, and the zone. */
      readonly reads?: Pick<ConnectParameters, "maxStalenessMs" | "zone">;
      /** Receives the options of every dial. */
      readonly dialed?: { readonly host: string; readonly trust: Trust }[];
    } = {},
  ): Promise<Client> {
    const dialer = this.seed.network.dialer("client");
    return await this.seed.wait(connect({
      endpoints: [{ host: hostOf(1), port: PORT }],
      dialer: {
        transport: dialer.transport,
        authenticatesPeers: dialer.authenticatesPeers,
        pinsServer: true,
        dial: (endpoint, options) => {
          dialed?.push({ host: endpoint.host, trust: options.trust });
          return dialer.dial(endpoint, options);
        },
        close: () => dialer.close(),
      },
      trust,
      world: this.seed.world,
      options: { onConnection, ...options },
      ...reads,
    }));
  }

  /** Kills a node: its sessions end, and it no longer listens. */
  kill(nodeId: number): void {
    this.seed.network.crash(hostOf(nodeId));
  }

  /** Returns an agent id whose partition is `partition`. */
  idIn(partition: number, kind = 1): Uint8Array {
    for (let number = 0;; number++) {
      const id = new Uint8Array(16).fill(9);
      new DataView(id.buffer).setUint32(0, number);
      if (this.partitioner.partitionOf(kind, id, 0, 16) === partition) return id;
    }
  }

  /** Returns a domain whose alias is in `partition`. */
  domainIn(partition: number): string {
    const { resolveAgent } = OPERATIONS;
    for (let number = 0;; number++) {
      const domain = `d${number}.example`;
      if (partitionOfCall(this.partitioner, resolveAgent, { domain }) === partition) return domain;
    }
  }

  /** Refuses requests for partitions that the node does not lead; leaves the others to the test. */
  #answer(node: FakeRegistry, request: FakeRequest): boolean {
    this.asked.push(`${node.nodeId} ${request.name}`);
    if (request.name === "getRingMap") {
      request.reply("getRingMap", this.map);
      return true;
    }
    const operation = operationOfId(OPERATIONS[request.name].id)!;
    const partition = partitionOfCall(this.partitioner, operation, request.body);
    if (partition < 0 || this.leaders[partition] === node.nodeId) return false;
    const leaderHint = this.hintOf(partition, node.nodeId);
    const leaderTerm = this.termOf(partition, node.nodeId);
    const isBounded = request.maxStalenessMs > 0;
    if (isBounded && this.provesAge(partition, node.nodeId)) return false;
    request.refuse(
      isBounded ? "too_stale" : "not_leader",
      leaderHint === 0 ? {} : { leaderHint, leaderTerm },
    );
    return true;
  }
}

function hostOf(nodeId: number): string {
  return nodeId === 1 ? HOST : `node${nodeId}`;
}
