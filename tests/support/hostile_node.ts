/**
 * A member of a real development cluster that is driven by hand: it joins as a node does, over QUIC,
 * with a valid identity, waits until node 1 dials it, and then sends whatever a test wants.
 */
import { connectCaller } from "../../src/client/client.ts";
import { defined } from "../../src/base/assert.ts";
import { nodeId as toNodeId } from "../../src/base/ids.ts";
import { PEER_SILENCE_MS, PEER_STREAMS_MAX } from "../../src/base/limits.ts";
import type { World } from "../../src/base/world.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { PEER_TRANSPORT } from "../../src/ring/ring_map.ts";
import { PeerControlReader } from "../../src/replication/peers/control_reader.ts";
import { PeerAuthentication } from "../../src/replication/peers/peer_authentication.ts";
import { helloOf, type PeerFacts } from "../../src/replication/peers/peer_hello.ts";
import { nodeSubjectId } from "../../src/serving/node_subject.ts";
import { APPLY_VERSION_MAX } from "../../src/system/versions/features.ts";
import { encodePeerControl, type PeerControlMessage } from "../../src/wire/peer_control.ts";
import { DevelopmentIdentity } from "../../identity/enrolment/development_identity.ts";
import {
  type DevelopmentNodeIdentity,
  DevelopmentNodes,
} from "../../identity/enrolment/development_nodes.ts";
import { readNodeFile } from "../../identity/files/node_file.ts";
import { handshakeServices } from "../../identity/trust/handshake_services.ts";
import { ALPN_PEER } from "../../transport/alpn.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { listenQuic } from "../../transport/quic_listener.ts";
import type { Listener, Session, Stream, Trust } from "../../transport/transport.ts";

const HOST = "127.0.0.1";
const ignore = () => {};

/** Addresses at which a hostile node reaches the cluster. */
export interface HostilePlace {
  /** The data folder of node 1, which runs. */
  readonly first: string;
  /** The folder of the development CA for nodes. */
  readonly nodeCa: string;
  /** An empty folder for its own keys. */
  readonly own: string;
  readonly partitionCount: number;
  readonly zone: string;
}

/** A session that node 1 dialed, after the handshake and the hello. */
export interface HostileSession {
  readonly session: Session;
  readonly control: Stream;
  /** The stream for frames. */
  readonly frames: Stream;
  /** The goodbye of node 1; undefined while there is none. */
  readonly goodbye: () => Extract<PeerControlMessage, { kind: "goodbye" }> | undefined;
}

/** A member that lies. */
export class HostileNode {
  /** Its number and its replica of group 0, which the cluster gave it. */
  readonly nodeId: number;
  readonly replica: number;
  readonly clusterId: Uint8Array;
  readonly facts: PeerFacts;
  readonly #place: HostilePlace;
  readonly #world: World;
  readonly #ca: DevelopmentNodes;
  readonly #own: DevelopmentNodeIdentity;
  readonly #tls: DevelopmentIdentity;
  readonly #listener: Listener;

  private constructor(parts: {
    readonly place: HostilePlace;
    readonly world: World;
    readonly ca: DevelopmentNodes;
    readonly own: DevelopmentNodeIdentity;
    readonly tls: DevelopmentIdentity;
    readonly listener: Listener;
    readonly facts: PeerFacts;
    readonly replica: number;
  }) {
    const { place, world, ca, own, tls, listener, facts, replica } = parts;
    this.#place = place;
    this.#world = world;
    this.#ca = ca;
    this.#own = own;
    this.#tls = tls;
    this.#listener = listener;
    this.facts = facts;
    this.replica = replica;
    this.nodeId = facts.nodeId;
    this.clusterId = facts.clusterId;
  }

  /** Joins the cluster of `place`. */
  static async join(place: HostilePlace): Promise<HostileNode> {
    const world = processWorld();
    const { wall, entropy, scheduler } = world;
    const region = "global";
    const ca = await DevelopmentNodes.open({ folder: place.nodeCa, region, wall, entropy });
    const tls = await DevelopmentIdentity.open({ folder: place.own, wall, entropy });
    const listener = listenQuic({
      hosts: [HOST],
      port: 0,
      certificate: tls.current,
      scheduler,
      onError: ignore,
      alpn: ALPN_PEER,
      webtransport: false,
      idleMs: PEER_SILENCE_MS,
      limits: { streamsPerSessionMax: PEER_STREAMS_MAX },
    });
    const folderId = crypto.getRandomValues(new Uint8Array(16));
    const reply = await HostileNode.#asClient(place, (client) =>
      client.call("joinCluster", {
        nodeId: 0,
        partitionCount: place.partitionCount,
        applyVersionMax: APPLY_VERSION_MAX,
        program: "",
        isStandby: false,
        folderId,
        clusterId: new Uint8Array(16),
        region,
        zone: place.zone,
        host: "",
        addresses: [{ transport: PEER_TRANSPORT, host: HOST, port: listener.port }],
        pin: tls.current.pin,
        nextPin: tls.current.pin,
      }));
    const { nodeId, clusterId, generation, partitionCount, replica } = reply;
    const subjectId = nodeSubjectId(clusterId, nodeId);
    const own = await ca.identityOf({ nodeId, subjectId });
    const processId = crypto.getRandomValues(new Uint8Array(16));
    const facts = {
      nodeId: toNodeId(nodeId),
      ...{ clusterId, folderId, processId, generation, partitionCount, region },
    };
    return new HostileNode({ place, world, ca, own, tls, listener, facts, replica });
  }

  /** Calls `use` with a client that has the development identity. */
  static async #asClient<T>(
    { first }: HostilePlace,
    use: (client: Awaited<ReturnType<typeof connectCaller>>) => Promise<T>,
  ): Promise<T> {
    const world = processWorld();
    const { addresses, currentPin } = defined(readNodeFile(first), "Node 1 runs");
    const dialer = new QuicDialer({ scheduler: world.scheduler, onError: ignore });
    const client = await connectCaller({
      endpoints: addresses.filter(({ transport }) => transport === "quic"),
      dialer,
      trust: { kind: "pins", sha256: [currentPin] },
      world,
    });
    try {
      return await use(client);
    } finally {
      await client.close();
      await dialer.close();
    }
  }

  /**
   * Takes the next session that node 1 dials.
   *
   * @param changes what it lies about in its hello.
   */
  async session(changes: Partial<PeerFacts> = {}): Promise<HostileSession> {
    const session = defined(await this.#listener.accept(), "The port is open");
    const control = defined(await session.accept(), "Node 1 opens the control stream");
    const addresses = [{ host: HOST, port: this.#listener.port }];
    await this.#authentication.accepted(session, control, addresses);
    const reader = new PeerControlReader(control);
    const hello = await reader.next();
    if (hello?.kind !== "hello") throw new Error(`Node 1 must say hello: found ${hello?.kind}`);
    const own = helloOf({ ...this.facts, ...changes });
    await control.write(encodePeerControl({ kind: "hello_reply", hello: own }));
    let goodbye: Extract<PeerControlMessage, { kind: "goodbye" }> | undefined;
    const answer = async () => {
      for (;;) {
        const message = await reader.next();
        if (message === undefined) return;
        if (message.kind === "goodbye") goodbye = message;
        if (message.kind === "ping") {
          await control.write(encodePeerControl({ ...message, kind: "pong" }));
        }
      }
    };
    answer().catch(ignore);
    const frames = await session.accept();
    if (frames === undefined) {
      const { code, message } = await session.closed;
      throw new Error(`Node 1 ended the session: ${code} ${message}`);
    }
    return { session, control, frames, goodbye: () => goodbye };
  }

  /**
   * Dials the port for other nodes of node 1 as node `nodeId`, which need be no member, and returns the
   * message with which it is refused.
   */
  async dialAs(nodeId: number, peerPort: number): Promise<string> {
    const { scheduler } = this.#world;
    const { currentPin } = defined(readNodeFile(this.#place.first), "Node 1 runs");
    const subjectId = nodeSubjectId(this.clusterId, nodeId);
    const own = await this.#ca.identityOf({ nodeId, subjectId });
    const dialer = new QuicDialer({ scheduler, onError: ignore, alpn: ALPN_PEER });
    const trust: Trust = { kind: "pins", sha256: [currentPin] };
    const endpoint = { host: HOST, port: peerPort };
    const first = {
      nodeId: toNodeId(1),
      subjectId: nodeSubjectId(this.clusterId, 1),
      folderId: new Uint8Array(16),
      addresses: [endpoint],
      trusts: [trust],
    };
    try {
      const session = await dialer.dial(endpoint, { trust });
      try {
        const control = await session.open("control");
        await this.#authenticationOf(own).dialed(session, control, first, { endpoint, trust });
        const hello = helloOf({ ...this.facts, nodeId: toNodeId(nodeId) });
        await control.write(encodePeerControl({ kind: "hello", hello }));
        await new PeerControlReader(control).next();
      } catch {
        // The refusal may come in the middle of the handshake; the session's end tells it too.
      }
      return (await session.closed).message;
    } finally {
      await dialer.close();
    }
  }

  get #authentication(): PeerAuthentication {
    return this.#authenticationOf(this.#own);
  }

  #authenticationOf({ own }: DevelopmentNodeIdentity): PeerAuthentication {
    const { wall } = this.#world;
    return new PeerAuthentication(this.#world, {
      services: handshakeServices({ own: () => own, trust: () => this.#ca.trust, wall }),
      own: () => own,
      tlsLeaves: () => ({ current: this.#tls.current.pin }),
    });
  }

  async close(): Promise<void> {
    await this.#listener.close();
  }
}
