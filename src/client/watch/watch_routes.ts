/**
 * Routes of the watches of one client: a watch of many records asks the nearest replica of each
 * partition, a watch of few the leader, and both any other replica if that one cannot be asked.
 */
import { RegistryError } from "../../base/errors.ts";
import type { World } from "../../base/world.ts";
import type { Partitioner } from "../../ring/partition.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import { Call } from "../call.ts";
import type { ClientDelegation } from "../delegation/delegation.ts";
import type { ReplicaChoice } from "../replica_choice.ts";
import type { NodeLink, NodeLinks } from "../node_links.ts";
import type { PartitionLeaders } from "../partition_leaders.ts";
import type {
  StartedWatch,
  WatchChoice,
  WatchMember,
  WatchRouting,
  WatchStart,
} from "./watch_routing.ts";

/** Parts of the client that watches use. */
export interface WatchRoutesParts {
  readonly world: World;
  readonly leaders: PartitionLeaders;
  readonly links: NodeLinks;
  readonly choice: ReplicaChoice;
  readonly timeoutMs: number;
  readonly refreshMap: () => void;
  /** Returns the place of the next call in the order of all calls. */
  readonly nextSerial: () => number;
}

/** The routing of one client's watches. */
export class WatchRoutes implements WatchRouting {
  readonly world: World;
  readonly timeoutMs: number;
  readonly #parts: WatchRoutesParts;
  readonly #members = new Set<WatchMember>();

  constructor(parts: WatchRoutesParts) {
    this.#parts = parts;
    this.world = parts.world;
    this.timeoutMs = parts.timeoutMs;
  }

  get clusterId(): Uint8Array | undefined {
    return this.#parts.links.clusterId;
  }

  get ringMap(): RingMap | undefined {
    return this.#parts.leaders.map;
  }

  get partitioner(): Partitioner | undefined {
    const { leaders } = this.#parts;
    return leaders.map === undefined ? undefined : leaders.partitioner;
  }

  join(member: WatchMember): () => void {
    this.#members.add(member);
    return () => void this.#members.delete(member);
  }

  /** Tells all watches of a newer ring map, or of the first one. */
  learned(map: RingMap): void {
    for (const member of [...this.#members]) member.ringMap(map);
  }

  /** Ends all watches. */
  close(error: RegistryError): void {
    for (const member of [...this.#members]) member.closed(error);
  }

  choose({ partition, isWide, maxStalenessMs, asked, hint }: WatchChoice): number | undefined {
    const { leaders, choice } = this.#parts;
    if (!leaders.isCluster) return asked.includes(0) ? undefined : 0;
    const replicas = leaders.replicasOf(partition);
    const leader = leaders.leaderOf(partition);
    const nearest = isWide
      ? choice.choose({ partition, replicas, maxStalenessMs, asked }, this.world.monotonic.nowMs())
      : 0;
    for (const nodeId of [hint, nearest, leader, ...replicas]) {
      if (nodeId !== 0 && !asked.includes(nodeId) && this.#isUsable(nodeId)) return nodeId;
    }
    return undefined;
  }

  start(nodeId: number, start: WatchStart): StartedWatch {
    const { links, nextSerial } = this.#parts;
    // Chosen in this turn, so there is a link; a watch of another one is refused by its node.
    const link = (nodeId === 0 ? undefined : links.to(nodeId)) ?? links.seed;
    const { operation, body, decode, firstReplyMs, silenceMs, ended, delegation } = start;
    const nowMs = this.world.monotonic.nowMs();
    const call = new Call(
      {
        operation: OPERATIONS[operation],
        body,
        decode,
        maxStalenessMs: 0,
        deadlineMs: nowMs + firstReplyMs,
        resolve: () => ended(undefined),
        reject: ended,
        part: { partition: body.positions[0]!.partition, isExact: false, nodeId, servedBy: 0 },
        silenceMs,
        delegation,
      },
      nextSerial(),
    );
    link.usedAtMs = nowMs;
    link.calls.submit(call, nowMs);
    return {
      get nodeId() {
        return link.calls.nodeId;
      },
      askProgress: (nonce) => {
        const { requestId: id } = call;
        if (id !== -1) this.#askProgress(link, { id, nonce }, firstReplyMs, delegation);
      },
      cancel: () => link.calls.cancel(call, canceled()),
    };
  }

  missed(partition: number, nodeId: number): void {
    const { leaders, refreshMap } = this.#parts;
    leaders.refuted(partition, nodeId);
    refreshMap();
  }

  #isUsable(nodeId: number): boolean {
    const { links } = this.#parts;
    const link = links.to(nodeId);
    return link !== undefined && (link.calls.isConnected || links.isUp(nodeId));
  }

  /** Asks for the progress of a watch; nobody waits for its answer. */
  #askProgress(
    link: NodeLink,
    body: { readonly id: number; readonly nonce: number },
    timeoutMs: number,
    delegation: ClientDelegation | undefined,
  ): void {
    const nowMs = this.world.monotonic.nowMs();
    const ignore = () => {};
    const operation = OPERATIONS.askProgress;
    const parameters = { operation, body, decode: ignore, maxStalenessMs: 0, delegation };
    const deadlineMs = nowMs + timeoutMs;
    const call = new Call(
      { ...parameters, deadlineMs, resolve: ignore, reject: ignore, silenceMs: timeoutMs },
      this.#parts.nextSerial(),
    );
    link.calls.submit(call, nowMs);
  }
}

function canceled(): RegistryError {
  return new RegistryError("canceled", "The watch was ended");
}
