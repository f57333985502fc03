/**
 * Peer networks of several nodes over a network in memory and a stepped world: identities of a
 * realm, and an input that records what arrives.
 */
import { defined } from "../../src/base/assert.ts";
import { type NodeId, nodeId } from "../../src/base/ids.ts";
import { type Logger, SILENT_LOGGER } from "../../src/base/logger.ts";
import { BanList } from "../../identity/trust/ban_list.ts";
import type { PeerInput } from "../../src/replication/group_host.ts";
import type { PeerFacts } from "../../src/replication/peers/peer_hello.ts";
import type { PeerMember } from "../../src/replication/peers/peer_member.ts";
import { PeerNetwork, type PeerNetworkOptions } from "../../src/replication/peers/peer_network.ts";
import { PEER_SILENCE_MS, PEER_STREAMS_MAX } from "../../src/base/limits.ts";
import { MemoryNetwork } from "../../transport/memory/network.ts";
import type { Listener } from "../../transport/transport.ts";
import { filled, type Member, Realm, tlsLeaf } from "./auth_realm.ts";
import { Process, SteppedWorld } from "./stepped_world.ts";

const PORT = 4_434;
export const CLUSTER_ID = filled(0xc0, 16);

/** An input that records its calls as text. */
export class Journaled implements PeerInput {
  readonly log: string[] = [];
  readonly images: { readonly from: number; readonly header: string; readonly bytes: number }[] =
    [];
  /** Resolves once an image that arrived is read. */
  reading: Promise<void> = Promise.resolve();

  receive(from: NodeId, frame: Uint8Array): void {
    this.log.push(`${from}: ${frame.length}`);
  }

  receiveImage(from: NodeId, header: Uint8Array, image: Uint8Array): Promise<void> {
    this.images.push({ from, header: new TextDecoder().decode(header), bytes: image.length });
    return this.reading;
  }

  peerConnected(node: NodeId): void {
    this.log.push(`${node} connected`);
  }

  peerLost(node: NodeId): void {
    this.log.push(`${node} lost`);
  }

  /** Returns the frames and events since the last call. */
  take(): string[] {
    return this.log.splice(0);
  }
}

/** A running node. */
export interface PeerNode {
  readonly id: NodeId;
  readonly process: Process;
  readonly peers: PeerNetwork;
  readonly input: Journaled;
  readonly listener: Listener;
  readonly warnings: string[];
}

/** The differences of a node from its cluster's expectations. */
export interface PeerNodeChanges {
  readonly facts?: Partial<PeerFacts>;
  /** The realm's member whose identity the node uses; default: its own. */
  readonly identity?: Member;
  readonly host?: string;
  readonly serveRequests?: PeerNetworkOptions["serveRequests"];
  readonly sessionMsMax?: number;
  readonly isWritable?: () => boolean;
  readonly imageBytesPerSecond?: number;
  /** Whether the test itself starts the links, with another input. */
  readonly waits?: boolean;
}

/** Nodes of one cluster. */
export class PeerNodes {
  readonly world = new SteppedWorld(3);
  readonly realm = new Realm();
  readonly bans = new BanList();
  /** Called when the wall clock was set. */
  readonly onClockStep = new Set<() => void>();
  readonly network: MemoryNetwork;
  readonly members: readonly PeerMember[];
  #processes = 0;

  constructor(count = 2) {
    const { monotonic, scheduler, entropy } = this.world;
    this.network = new MemoryNetwork({ monotonic, scheduler, entropy }, { delayMsMin: 1 });
    this.members = Array.from({ length: count }, (_, at) => this.memberOf(at + 1));
  }

  /** Returns the member with that number, as every node knows it. */
  memberOf(id: number): PeerMember {
    const { subjectId } = this.realm.enrol("node", id).identity;
    return {
      nodeId: nodeId(id),
      subjectId,
      folderId: filled(id, 16),
      addresses: [{ host: `host${id}`, port: PORT }],
      trusts: [{ kind: "pins", sha256: [tlsLeaf(this.realm.enrol("node", id), "current")] }],
    };
  }

  factsOf(id: number): PeerFacts {
    return {
      nodeId: nodeId(id),
      clusterId: CLUSTER_ID,
      folderId: filled(id, 16),
      processId: filled(++this.#processes, 16),
      generation: 1,
      partitionCount: 16,
      region: "eu-1",
    };
  }

  /** Starts a node on its host, or on another one. */
  start(id: number, changes: PeerNodeChanges = {}): PeerNode {
    const { identity = this.realm.enrol("node", id), host = `host${id}`, serveRequests } = changes;
    const process = new Process(this.world);
    const warnings: string[] = [];
    const logger: Logger = {
      ...SILENT_LOGGER,
      warn: (message, facts) => void warnings.push(`${message}: ${String(facts?.["error"])}`),
      child: () => logger,
    };
    const peers = new PeerNetwork({
      facts: { ...this.factsOf(id), ...changes.facts },
      world: process,
      logger,
      dialer: this.network.dialer(host, {
        idleMs: PEER_SILENCE_MS,
        streamsPerSessionMax: PEER_STREAMS_MAX,
      }),
      credentials: {
        services: this.realm.services(identity),
        own: () => identity,
        tlsLeaves: () => ({ current: tlsLeaf(identity, "current") }),
        bans: this.bans,
        onClockStep: (listener) => {
          this.onClockStep.add(listener);
          return () => void this.onClockStep.delete(listener);
        },
        ...(changes.sessionMsMax === undefined ? {} : { sessionMsMax: changes.sessionMsMax }),
      },
      ...(serveRequests === undefined ? {} : { serveRequests }),
      ...(changes.imageBytesPerSecond === undefined
        ? {}
        : { imageBytesPerSecond: changes.imageBytesPerSecond }),
      ...(changes.isWritable === undefined ? {} : { isWritable: changes.isWritable }),
    });
    const input = new Journaled();
    const listener = this.network.listen({
      host,
      port: PORT,
      idleMs: PEER_SILENCE_MS,
      limits: { streamsPerSessionMax: PEER_STREAMS_MAX },
    });
    if (changes.waits !== true) peers.start(input, this.members);
    void peers.listen(listener);
    return { id: nodeId(id), process, peers, input, listener, warnings };
  }

  /** Stops a node without notifying the others. */
  crash(node: PeerNode, host = `host${node.id}`): void {
    node.process.kill();
    this.network.crash(host);
  }

  /** Starts all members and waits until all are connected. */
  async startAll(changes: PeerNodeChanges = {}): Promise<PeerNode[]> {
    const nodes = this.members.map((member) => this.start(member.nodeId, changes));
    await this.world.pass(1_000);
    for (const node of nodes) node.input.take();
    return nodes;
  }
}

/** Returns the status of the link of `node` to `to`. */
export function statusOf(node: PeerNode, to: number) {
  return defined(node.peers.status().find((one) => one.node === to), "The link must exist");
}
