/**
 * The link to a peer region over the SDK's connections: its servers are dialed in turn with back-off, the
 * nodes of its ring map as they are needed, and a feed moves from one that is lost or slow to another.
 * The nodes are verified by the region's trust bundle, and this node proves its own certificate. Without
 * authorities the bundle is the PEM of a CA, and the name of the own region is believed.
 *
 * Feeds use connections that are bound to the accepted cluster: a node of another one is refused in its
 * Hello, and ends them. Only `status` also asks a region that is not bound, to learn what is to be
 * accepted.
 */
import type { GovernedLogReply, GovernedLogRequest } from "../../schemas/gen/wire.ts";
import { bytesEqual } from "../base/bytes.ts";
import { type ClockReading, readClocks } from "../base/clock_reading.ts";
import { RegistryError } from "../base/errors.ts";
import {
  CLIENT_IN_FLIGHT_DEFAULT,
  REGION_PROGRESS_MS,
  REGION_SILENCE_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../base/limits.ts";
import { isNilUuid, UUID_BYTES } from "../base/uuid.ts";
import type { World } from "../base/world.ts";
import type { Credentials } from "../client/credentials.ts";
import { ask } from "../client/invoker.ts";
import { Router } from "../client/router.ts";
import type { ConnectionEvent } from "../client/types.ts";
import { WatchSession } from "../client/watch/session.ts";
import { isPartitionCount, PARTITION_COUNT_MAX } from "../ring/partition.ts";
import {
  FEATURE_ANNOUNCES_STREAMS,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
} from "../wire/control.ts";
import type { TrustedServer } from "../../identity/trust/trust_bundle_content.ts";
import {
  authorityOf,
  handshakeFailure,
  type ProvenIdentity,
} from "../../identity/registry_auth/mod.ts";
import type { Dialer, Endpoint, Trust } from "../../transport/transport.ts";
import { type FeedCounts, FeedReader } from "./feed_reader.ts";
import type {
  FollowRequest,
  LinkContact,
  RegionFeed,
  RegionLink,
  SourceStatus,
} from "./region_link.ts";
import { judgeNodeOf, openRegionBundle } from "./region_trust.ts";

/** Parameters of a {@link DialedRegion}. */
export interface DialedRegionOptions {
  /** The peer region, and the one of this cluster. */
  readonly region: string;
  readonly own: string;
  /** Servers of the region, at least one. */
  readonly endpoints: readonly Endpoint[];
  /** Its trust bundle; without authorities the PEM of a CA. */
  readonly bundle: string;
  /** Reports whether the region has banned one of its nodes. */
  readonly isBanned: (node: ProvenIdentity) => boolean;
  /** The identity of this node. */
  readonly credentials: Credentials;
  /** Owned by the link, and closed with it. */
  readonly dialer: Dialer;
  readonly world: World;
}

/** Verification of a region's nodes. */
interface Verification {
  readonly trust: Trust;
  readonly credentials: Credentials;
  /** Sequence of the trust bundle; 0 for none. */
  readonly bundleSequence: number;
}

/** The filter of a feed. */
const EVERYTHING = { kind: 0, region: "", labels: [], ids: [], domains: [] };
const NO_BYTES = new Uint8Array(0);
const ANY_CLUSTER = new Uint8Array(UUID_BYTES);

/** A link to a peer region. It is made anew when the region's settings change. */
export class DialedRegion implements RegionLink, FeedCounts {
  readonly #options: DialedRegionOptions;
  readonly #feeds = new Set<FeedReader>();
  /** Opened once: the parameters do not change. */
  #verification: Promise<Verification> | undefined;
  /** The connections to the accepted cluster. */
  #bound: { readonly clusterId: Uint8Array; readonly router: Router } | undefined;
  #isClosed = false;
  #lastContact: ClockReading | undefined;
  #lastError: LinkContact["lastError"];
  bytesReceived = 0;
  eventsReceived = 0;
  resets = 0;

  constructor(options: DialedRegionOptions) {
    this.#options = options;
  }

  get contact(): LinkContact {
    return {
      lastContact: this.#lastContact,
      isConnected: this.#bound?.router.links.connected !== undefined,
      lastError: this.#lastError,
      bytesReceived: this.bytesReceived,
      eventsReceived: this.eventsReceived,
      resets: this.resets,
    };
  }

  heard(): void {
    this.#lastContact = readClocks(this.#options.world);
  }

  async status(timeoutMs: number, bansDigest = NO_BYTES): Promise<SourceStatus> {
    const verification = await this.#verify();
    if (this.#isClosed) throw closed();
    const probe = this.#bound === undefined ? this.#open(verification, ANY_CLUSTER) : undefined;
    const router = probe ?? this.#bound!.router;
    const { own: follower, region: wanted } = this.#options;
    try {
      const { bundleSequence } = verification;
      const request = { follower, bundleSequence, bansDigest };
      const reply = await ask(router, "regionStatus", request, { timeoutMs });
      this.heard();
      const { region, clusterId, generation, partitionCount, hashKey, ...trust } = reply;
      if (region !== wanted) {
        throw new RegistryError(
          "wrong_cluster",
          `The servers must be those of region ${wanted}: they are of ${region}`,
        );
      }
      // By these, what a listing lacks is told from what it holds elsewhere, and then removed.
      if (!isPartitionCount(partitionCount) || isNilUuid(hashKey)) {
        throw new RegistryError(
          "malformed",
          `Region ${region} must state its partition count, a power of two of at most ` +
            `${PARTITION_COUNT_MAX}, and its hash key: it states ${partitionCount} partitions and ` +
            `${isNilUuid(hashKey) ? "no key" : "a key"}`,
        );
      }
      return { region, clusterId, generation, partitionCount, hashKey, trust };
    } finally {
      await probe?.close(closed());
    }
  }

  async governedLog(
    clusterId: Uint8Array,
    request: GovernedLogRequest,
    timeoutMs: number,
  ): Promise<GovernedLogReply> {
    const verification = await this.#verify();
    if (this.#isClosed) throw closed();
    const router = this.#routerTo(clusterId, verification);
    const reply = await ask(router, "regionGovernedLog", request, { timeoutMs });
    this.heard();
    return reply;
  }

  feed(request: FollowRequest): RegionFeed {
    const reader: FeedReader = new FeedReader({
      request,
      world: this.#options.world,
      counts: this,
      start: () => this.#start(reader, request),
      onOver: () => void this.#feeds.delete(reader),
    });
    this.#feeds.add(reader);
    if (this.#isClosed) reader.close();
    return reader;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const reader of [...this.#feeds]) reader.close();
    await this.#bound?.router.close(closed());
    await this.#options.dialer.close();
  }

  async #start(reader: FeedReader, request: FollowRequest): Promise<WatchSession> {
    const { partitions, cursors, progressMs } = request;
    const verification = await this.#verify();
    if (this.#isClosed) throw closed();
    const { watches } = this.#routerTo(request.clusterId, verification);
    return new WatchSession(watches, {
      filter: EVERYTHING,
      from: {
        positions: new Map(
          partitions.map((partition) => [partition, cursors.get(partition) ?? "state"]),
        ),
      },
      progressMs: progressMs || REGION_PROGRESS_MS,
      timeoutMs: Infinity,
      maxStalenessMs: 0,
      withBefore: false,
      withMirrors: false,
      asksProgress: true,
      startsAnew: false,
      follower: this.#options.own,
    }, reader);
  }

  /** Returns the connections to the accepted cluster; those to another one end, with their feeds. */
  #routerTo(clusterId: Uint8Array, verification: Verification): Router {
    if (this.#bound !== undefined && bytesEqual(this.#bound.clusterId, clusterId)) {
      return this.#bound.router;
    }
    this.#unbind(otherCluster());
    const router = this.#open(verification, clusterId);
    this.#bound = { clusterId, router };
    return router;
  }

  #unbind(error: RegistryError): void {
    const bound = this.#bound;
    this.#bound = undefined;
    // Ends its feeds at once; the sessions end in their own time.
    void bound?.router.close(error);
  }

  #open({ trust, credentials }: Verification, clusterId: Uint8Array): Router {
    const { endpoints, dialer, world, own } = this.#options;
    const router: Router = new Router({
      ...{ endpoints, dialer, trust, credentials, world },
      hello: {
        versionMin: PROTOCOL_VERSION_MIN,
        versionMax: PROTOCOL_VERSION_MAX,
        features: FEATURE_ANNOUNCES_STREAMS,
        clusterId,
        region: own,
        agent: `region ${own}`,
      },
      inFlightMax: CLIENT_IN_FLIGHT_DEFAULT,
      timeoutMs: REQUEST_TIMEOUT_MS_DEFAULT,
      nodeSilenceMs: REGION_SILENCE_MS,
      maxStalenessMs: 0,
      zone: "",
      onEvent: (event) => this.#happened(event, router),
    });
    router.start();
    return router;
  }

  #happened(event: ConnectionEvent, router: Router): void {
    if (event.kind === "connected") {
      this.#lastError = undefined;
      return this.heard();
    }
    const { code, message } = event.error;
    this.#lastError = { code, message };
    if (code === "wrong_cluster" && this.#bound?.router === router) this.#unbind(event.error);
  }

  #verify(): Promise<Verification> {
    return this.#verification ??= verificationOf(this.#options);
  }
}

/** Returns the verification of the region's nodes. @throws RegistryError `malformed` */
async function verificationOf(
  { region, endpoints, bundle, isBanned, credentials, world: { wall } }: DialedRegionOptions,
): Promise<Verification> {
  if (endpoints.length === 0) {
    throw new RegistryError("invalid_configuration", `Region ${region} must have a server`, {
      field: "servers",
    });
  }
  if (credentials.kind === "development") {
    const trust: Trust = { kind: "ca", pem: bundle === "" ? [] : [bundle] };
    return { trust, credentials, bundleSequence: 0 };
  }
  const { bundle: { servers, sequence }, trust } = await openRegionBundle(bundle, wall.unixMs());
  const { own, services, onRenewed } = credentials;
  const pinsAt = (endpoint: Endpoint) => {
    const authority = authorityOf(endpoint.host, endpoint.port);
    return servers.filter(({ authorities }) => authorities.includes(authority)).flatMap(pinsOf);
  };
  return {
    bundleSequence: sequence,
    trust: { kind: "pins", sha256: servers.flatMap(pinsOf) },
    credentials: {
      ...{ kind: "certificate", own, pins: pinsAt },
      ...(onRenewed === undefined ? {} : { onRenewed }),
      services: {
        ...services,
        judge: async (_end, chain) => {
          const node = await judgeNodeOf(region, { chain, trust, nowMs: wall.unixMs() });
          if ("fault" in node || !isBanned(node)) return node;
          return handshakeFailure("banned", "Its region has banned this node");
        },
      },
    },
  };
}

function pinsOf({ currentPin, nextPin }: TrustedServer): readonly Uint8Array[] {
  return [currentPin, nextPin];
}

function otherCluster(): RegistryError {
  return new RegistryError("wrong_cluster", "Another cluster was accepted as the region's feed");
}

function closed(): RegistryError {
  return new RegistryError("shutting_down", "The link to the region is closed");
}
