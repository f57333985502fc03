/**
 * The links of a node to all other members: one session to each, over which frames, images and
 * operations pass. Production and tests in memory run the same code.
 *
 * The node with the lower number dials. Both ends authenticate with their node identities, and agree
 * on cluster, generation, region and partition count. Members are an input, and may change at any
 * time; a session with a node that is no member any more, or whose identity is banned, ends at once.
 * Raft tolerates every loss here: what cannot be sent is dropped and counted, never kept waiting.
 */
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import type { NodeId } from "../../base/ids.ts";
import { PEER_IMAGE_BYTES_PER_SECOND } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import type { World } from "../../base/world.ts";
import type { Dialer, Endpoint, Listener, Session, Stream } from "../../../transport/transport.ts";
import type { LivenessEvent, PeerInput, PeerLinks } from "../group_host.ts";
import { PeerAcceptor } from "./peer_acceptor.ts";
import { PeerAuthentication, type PeerCredentials } from "./peer_authentication.ts";
import type { PeerCounts } from "./peer_counts.ts";
import { deliverImage } from "./image_delivery.ts";
import { ImagePlaces } from "./image_places.ts";
import { ImageRate } from "./image_rate.ts";
import { PartialImages } from "./partial_images.ts";
import { PeerDialer } from "./peer_dialer.ts";
import type { PeerFacts } from "./peer_hello.ts";
import { PeerLink, type PeerLinkEvents } from "./peer_link.ts";
import { type PeerMember, PeerMembers } from "./peer_member.ts";
import type { PeerSessionParts } from "./peer_session.ts";

/** Serves a stream of operations of another node until it ends. */
export type ServeRequests = (
  from: NodeId,
  peer: AuthenticatedPeer,
  stream: Stream,
) => Promise<void>;

/** The dependencies of a {@link PeerNetwork}. */
export interface PeerNetworkOptions {
  readonly facts: PeerFacts;
  readonly world: World;
  readonly logger: Logger;
  readonly dialer: Dialer;
  readonly credentials: PeerCredentials;
  /** Serves operations of other nodes; absent: their streams are refused. */
  readonly serveRequests?: ServeRequests;
  /** Reports whether this node's log takes writes. Default: always. */
  readonly isWritable?: () => boolean;
  /** The rate of images to all other nodes together. Default: {@link PEER_IMAGE_BYTES_PER_SECOND}. */
  readonly imageBytesPerSecond?: number;
}

/** The state of the link to one node. */
export interface PeerStatus {
  readonly node: NodeId;
  readonly isConnected: boolean;
  /** Whether the node's log takes writes, as it said last. */
  readonly isWritable: boolean;
  /** The version of the protocol in the present session. */
  readonly version: number | undefined;
  /** The version of the node's program, if it said so in the present session. */
  readonly program: string | undefined;
  /** The address of the present session. */
  readonly remoteAddress: string | undefined;
  readonly roundTripMs: number | undefined;
  /** Bytes of frames that the peer has not read. */
  readonly backlogBytes: number;
  readonly counts: PeerCounts;
}

/** A link, and its dialer where this node dials. */
interface Kept {
  readonly link: PeerLink;
  readonly dialer: PeerDialer | undefined;
}

/** The links to all other members. */
export class PeerNetwork implements PeerLinks {
  readonly #options: PeerNetworkOptions;
  readonly #authentication: PeerAuthentication;
  readonly #acceptor: PeerAcceptor;
  readonly #places = new ImagePlaces();
  readonly #kept = new Map<NodeId, Kept>();
  readonly #rate: ImageRate;
  /** The number of the last image that was sent. */
  #imageNumber = 0;
  #members = new PeerMembers([]);
  #input: PeerInput | undefined;
  #isClosed = false;

  constructor(options: PeerNetworkOptions) {
    this.#options = options;
    const { world, logger, facts, credentials } = options;
    this.#rate = new ImageRate(options.imageBytesPerSecond ?? PEER_IMAGE_BYTES_PER_SECOND, world);
    this.#authentication = new PeerAuthentication(world, credentials);
    this.#acceptor = new PeerAcceptor({
      facts,
      world,
      logger,
      authentication: this.#authentication,
      addresses: () => this.#ownAddresses,
      linkOf: (subjectId) => this.#linkOfSubject(subjectId),
      sessionParts: (link) => this.#sessionParts(link),
    });
  }

  /** Input of peers that were not known to be members, by reason. */
  get refused(): ReadonlyMap<string, number> {
    return this.#acceptor.counts.rejected;
  }

  /** Begins to exchange frames with the members, and to dial those with higher node ids. */
  start(input: PeerInput, members: readonly PeerMember[]): void {
    this.#input = input;
    this.update(members);
  }

  /**
   * Accepts sessions of other nodes until the listener is closed. The caller owns the listener, whose
   * streams per session must allow for the images and operations of a node.
   */
  async listen(listener: Listener): Promise<void> {
    for (;;) {
      const session = await listener.accept();
      if (session === undefined) return;
      void this.accept(session);
    }
  }

  /** Takes a session that a peer opened, before anything of it was read. Never rejects. */
  async accept(session: Session): Promise<void> {
    if (this.#isClosed || this.#input === undefined) {
      return await session.goodbye("shutting_down", "The node does not serve other nodes now");
    }
    await this.#acceptor.accept(session);
  }

  /**
   * Replaces the members, which include this node.
   *
   * @throws RangeError if they contradict each other.
   */
  update(members: readonly PeerMember[]): void {
    this.#members = new PeerMembers(members);
    for (const [node, { link, dialer }] of this.#kept) {
      const member = this.#members.of(node);
      if (member === undefined || !isSameIdentity(member, link.member)) {
        this.#kept.delete(node);
        link.close(new RegistryError("permission_denied", `Node ${node} is no member any more`));
        dialer?.hurry();
      } else {
        link.member = member;
      }
    }
    if (this.#isClosed) return;
    for (const member of this.#members.all) this.#keep(member);
  }

  send(to: NodeId, frame: Uint8Array): void {
    const link = this.#kept.get(to)?.link;
    if (link !== undefined && !(link.session?.send(frame) ?? false)) link.counts.framesDropped++;
  }

  sendImage(
    to: NodeId,
    header: Uint8Array,
    image: Uint8Array,
    done: (delivered: boolean) => void,
  ): void {
    const link = this.#kept.get(to)?.link;
    const { world } = this.#options;
    const sent = link === undefined
      ? Promise.resolve(false)
      : deliverImage(link, { header, image, number: ++this.#imageNumber }, world);
    void sent.then((delivered) => {
      if (delivered && link !== undefined) link.counts.imagesOut++;
      else if (link !== undefined) link.counts.imagesLost++;
      world.scheduler.nextTurn(() => done(delivered));
    });
  }

  /**
   * Opens a stream of operations to a node. The caller ends it.
   *
   * @throws RegistryError `connection_lost` if there is no session with the node; `overloaded`.
   */
  async openRequests(to: NodeId): Promise<Stream> {
    const session = this.#kept.get(to)?.link.session;
    if (session === undefined) {
      throw new RegistryError("connection_lost", `There is no session with node ${to} now`);
    }
    return await session.openRequests();
  }

  /** Tells all nodes at once whether this node may lead; they would be told within half a second. */
  tellWritable(): void {
    for (const { link } of this.#kept.values()) link.session?.tellWritable();
  }

  messageRefused(from: NodeId, code: string): void {
    this.#kept.get(from)?.link.counts.reject(code);
  }

  countLiveness(node: NodeId, event: LivenessEvent): void {
    this.#kept.get(node)?.link.counts.liveness(event);
  }

  countProbe(node: NodeId, direction: "out" | "in", bytes: number): void {
    this.#kept.get(node)?.link.counts.probe(direction, bytes);
  }

  /** Returns the state of every link, ordered by node id. */
  status(): PeerStatus[] {
    const links = Array.from(this.#kept.values(), ({ link }) => link);
    return links.sort((a, b) => a.node - b.node).map(({ node, session, counts }) => ({
      node,
      isConnected: session !== undefined,
      isWritable: session?.isPeerWritable ?? true,
      version: session?.version,
      program: session?.program,
      remoteAddress: session?.remoteAddress,
      roundTripMs: session?.roundTripMs,
      backlogBytes: session?.backlogBytes ?? 0,
      counts,
    }));
  }

  /** Ends all sessions, and resolves when they are over. The caller closes dialer and listener. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const over: Promise<unknown>[] = [];
    for (const { link, dialer } of this.#kept.values()) {
      if (link.session !== undefined) over.push(link.session.closed);
      link.close(new RegistryError("shutting_down", "The node is stopping"));
      dialer?.hurry();
    }
    await Promise.all(over);
  }

  get #ownAddresses(): readonly Endpoint[] {
    return this.#members.of(this.#options.facts.nodeId)?.addresses ?? [];
  }

  #linkOfSubject(subjectId: Uint8Array): PeerLink | undefined {
    const member = this.#members.ofSubject(subjectId);
    return member === undefined ? undefined : this.#kept.get(member.nodeId)?.link;
  }

  #keep(member: PeerMember): void {
    const { facts, world, dialer, logger } = this.#options;
    const { nodeId } = member;
    if (nodeId === facts.nodeId || this.#kept.has(nodeId)) return;
    const partials = new PartialImages(this.#places, world.scheduler);
    const link = new PeerLink(member, this.#events, { logger, clock: world.monotonic, partials });
    const dials = facts.nodeId < nodeId;
    const peerDialer = dials
      ? new PeerDialer(link, {
        facts,
        world,
        dialer,
        authentication: this.#authentication,
        sessionParts: (of) => this.#sessionParts(of),
      })
      : undefined;
    this.#kept.set(nodeId, { link, dialer: peerDialer });
    void peerDialer?.run();
  }

  readonly #events: PeerLinkEvents = {
    peerConnected: (node) => this.#input?.peerConnected(node),
    peerLost: (node) => this.#input?.peerLost(node),
  };

  #sessionParts(link: PeerLink): PeerSessionParts {
    const { serveRequests, world, isWritable = () => true } = this.#options;
    return {
      node: link.node,
      counts: link.counts,
      world,
      places: this.#places,
      partials: link.partials,
      rate: this.#rate,
      isWritable,
      handlers: {
        onFrame: (frame) => {
          if (!link.isClosed) this.#input?.receive(link.node, frame);
        },
        onImage: async (header, image) => {
          if (!link.isClosed) await this.#input?.receiveImage(link.node, header, image);
        },
        onRequests: serveRequests === undefined
          ? undefined
          : (peer, stream) => serveRequests(link.node, peer, stream),
      },
    };
  }
}

/** Reports whether two entries are of the same node: a number given to another folder is another. */
function isSameIdentity(a: PeerMember, b: PeerMember): boolean {
  return bytesEqual(a.subjectId, b.subjectId) && bytesEqual(a.folderId, b.folderId);
}
