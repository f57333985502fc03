/**
 * A node that consists only of a group and its links: a journal replicated over QUIC on loopback,
 * with the identities of a development cluster. Node n has replica n. Its log is in memory.
 */
import { defined } from "../../../src/base/assert.ts";
import { fromHex, toHex } from "../../../src/base/bytes.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { groupId, nodeId, replicaId } from "../../../src/base/ids.ts";
import { PEER_PING_MS, PEER_SILENCE_MS } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { DevelopmentIdentity } from "../../../identity/enrolment/development_identity.ts";
import {
  type DevelopmentNodeIdentity,
  DevelopmentNodes,
} from "../../../identity/enrolment/development_nodes.ts";
import { handshakeServices } from "../../../identity/trust/handshake_services.ts";
import { EMPTY_CONFIGURATION } from "../../../src/raft/mod.ts";
import { type HostedReplica, NodeGroups } from "../../../src/replication/assembly/node_groups.ts";
import type { Proposed } from "../../../src/replication/group_interface.ts";
import type { PeerMember } from "../../../src/replication/peers/peer_member.ts";
import { PeerNetwork } from "../../../src/replication/peers/peer_network.ts";
import { MemoryDisk } from "../../../src/storage/memory_storage.ts";
import { ALPN_PEER } from "../../../transport/alpn.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { listenQuic } from "../../../transport/quic_listener.ts";
import type { Listener } from "../../../transport/transport.ts";
import { Journal } from "../../support/group_cluster.ts";
import { testWorld } from "../../support/production_world.ts";

const HOST = "127.0.0.1";
const REGION = "eu-1";
const GROUP = groupId(1);
const CLUSTER_ID = new Uint8Array(16).fill(0xc0);
const idOf = (node: number) => new Uint8Array(16).fill(node);

/** The data about a node that others need, as JSON. */
export interface StatedMember {
  readonly node: number;
  readonly port: number;
  readonly pin: string;
}

/** A node. */
export class QuicNode {
  readonly id: number;
  readonly stated: StatedMember;
  readonly peers: PeerNetwork;
  readonly #world = testWorld();
  readonly #listener: Listener;
  readonly #dialer: QuicDialer;
  #groups: NodeGroups<Journal> | undefined;
  #hosted: HostedReplica<Journal> | undefined;

  private constructor(
    id: number,
    tls: DevelopmentIdentity,
    own: DevelopmentNodeIdentity,
    ca: DevelopmentNodes,
  ) {
    this.id = id;
    const { scheduler, wall } = this.#world;
    const onError = () => {};
    const { pin } = tls.current;
    this.#listener = listenQuic({
      hosts: [HOST],
      port: 0,
      certificate: tls.current,
      scheduler,
      onError,
      alpn: ALPN_PEER,
      webtransport: false,
      idleMs: PEER_SILENCE_MS,
    });
    this.stated = { node: id, port: this.#listener.port, pin: toHex(pin) };
    this.#dialer = new QuicDialer({
      scheduler,
      onError,
      alpn: ALPN_PEER,
      keepAliveMs: PEER_PING_MS,
      idleMs: PEER_SILENCE_MS,
    });
    const processId = new Uint8Array(16);
    crypto.getRandomValues(processId);
    this.peers = new PeerNetwork({
      facts: {
        nodeId: nodeId(id),
        clusterId: CLUSTER_ID,
        folderId: idOf(id),
        processId,
        generation: 1,
        partitionCount: 1,
        region: REGION,
      },
      world: this.#world,
      logger: SILENT_LOGGER,
      dialer: this.#dialer,
      credentials: {
        services: handshakeServices({ own: () => own.own, trust: () => ca.trust, wall }),
        own: () => own.own,
        tlsLeaves: () => ({ current: pin }),
      },
    });
  }

  /**
   * Opens a node whose files, and the common CA, are in `folder`. It listens and knows no other
   * node yet.
   */
  static async open(id: number, folder: string): Promise<QuicNode> {
    const { wall, entropy } = { ...testWorld(), entropy: testWorld(Date.now() + id).entropy };
    const ca = await DevelopmentNodes.open({
      folder: `${folder}/ca`,
      region: REGION,
      wall,
      entropy,
    });
    const tls = await DevelopmentIdentity.open({ folder: `${folder}/node${id}`, wall, entropy });
    const own = await ca.identityOf({ nodeId: id, subjectId: idOf(id) });
    return new QuicNode(id, tls, own, ca);
  }

  /** Founds the group with all members as voters, and begins to exchange frames. */
  async start(stated: readonly StatedMember[]): Promise<void> {
    const members = stated.map(memberOf);
    const groups = await new Promise<NodeGroups<Journal>>((resolve, reject) =>
      NodeGroups.open<Journal>({
        nodeId: nodeId(this.id),
        world: this.#world,
        logger: SILENT_LOGGER,
        log: { storage: new MemoryDisk().open(this.#world.scheduler) },
        logEvents: { cut: () => {}, poisoned: () => {}, writable: () => {}, synced: () => {} },
        newMachine: () => new Journal(),
        peers: this.peers,
        directory: {
          nodeOf: (replica) => members.find((member) => Number(member.nodeId) === replica)?.nodeId,
        },
      }, (opened) => opened instanceof RegistryError ? reject(opened) : resolve(opened))
    );
    this.#groups = groups;
    const voters = members.map((member) => Number(member.nodeId));
    this.#hosted = await new Promise((resolve, reject) =>
      groups.found(
        { group: GROUP, replica: replicaId(this.id) },
        { ...EMPTY_CONFIGURATION, voters },
        (founded) => founded instanceof RegistryError ? reject(founded) : resolve(founded),
      )
    );
    groups.start();
    this.peers.start(groups.input, members);
    void this.peers.listen(this.#listener);
  }

  /** Whether it leads, and has applied an entry of its own term. */
  get isLeading(): boolean {
    return this.#replica.raft.isLeading;
  }

  /** The entries that its replica has applied. */
  get applied(): readonly string[] {
    return this.#replica.machine.applied;
  }

  /** Count of inputs from other nodes that the groups refused, by code. */
  get refusals(): ReadonlyMap<string, number> {
    return defined(this.#groups, "The node must be started").set.refusals;
  }

  campaign(): void {
    this.#replica.raft.campaign();
  }

  propose(text: string): Promise<Proposed<string>> {
    return this.#replica.raft.propose(new TextEncoder().encode(text), 5_000);
  }

  async close(): Promise<void> {
    await this.peers.close();
    await this.#groups?.close();
    await this.#dialer.close();
    await this.#listener.close();
  }

  get #replica(): HostedReplica<Journal> {
    return defined(this.#hosted, "The node must be started");
  }
}

function memberOf({ node, port, pin }: StatedMember): PeerMember {
  return {
    nodeId: nodeId(node),
    subjectId: idOf(node),
    folderId: idOf(node),
    addresses: [{ host: HOST, port }],
    trusts: [{ kind: "pins", sha256: [defined(fromHex(pin), "A pin is hexadecimal")] }],
  };
}
