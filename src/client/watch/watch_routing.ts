/** The interface through which watches reach the nodes of a cluster. */
import type { RegistryError } from "../../base/errors.ts";
import type { World } from "../../base/world.ts";
import type { WatchRequest } from "../../../schemas/gen/wire.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";
import type { Partitioner } from "../../ring/partition.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import type { Decode } from "../call.ts";
import type { ClientDelegation } from "../delegation/delegation.ts";

/** A partition for which a node is to be chosen. */
export interface WatchChoice {
  readonly partition: number;
  /** Whether the watch is about many records, so that the nearest replica serves it. */
  readonly isWide: boolean;
  /** The age that is accepted, ms; 0 if any. */
  readonly maxStalenessMs: number;
  /** Nodes that are not to be asked. */
  readonly asked: readonly number[];
  /** The node that a refusal named; 0 for none. */
  readonly hint: number;
}

/** A request that starts a watch at a node. */
export interface WatchStart {
  readonly operation: "watch" | "listAndWatch" | "regionFeed";
  readonly body: Input<WatchRequest>;
  /** Returns MORE_REPLIES for each reply but the last. */
  readonly decode: Decode<unknown>;
  /** Time for the first reply, ms. */
  readonly firstReplyMs: number;
  /** Silence after which the request fails, ms. */
  readonly silenceMs: number;
  /** Called once, without an error after the last reply. */
  readonly ended: (error: RegistryError | undefined) => void;
  /** The caller who watches; absent: the client itself. */
  readonly delegation?: ClientDelegation;
}

/** A watch at a node. */
export interface StartedWatch {
  /** Id of the connected node; 0 if there is no connection. */
  readonly nodeId: number;
  /** Asks for a progress reply with that nonce. */
  askProgress(nonce: number): void;
  /** Ends it; nothing is called any more. */
  cancel(): void;
}

/** Is told of what concerns all watches of a client. */
export interface WatchMember {
  /** A ring map arrived that is newer than the one before, or the first one. */
  ringMap(map: RingMap): void;
  /** The client is closed. */
  closed(error: RegistryError): void;
}

/** Services of the router to watches. */
export interface WatchRouting {
  readonly world: World;
  /** Default time to begin, ms. */
  readonly timeoutMs: number;
  /** Id of the cluster, 16 bytes; undefined before the first connection. */
  readonly clusterId: Uint8Array | undefined;
  /** Undefined before the first ring map. */
  readonly partitioner: Partitioner | undefined;
  readonly ringMap: RingMap | undefined;

  /** Adds a member, which is told until it leaves by the returned function. */
  join(member: WatchMember): () => void;
  /** Returns the node to ask, 0 for the only one; undefined if none can be asked now. */
  choose(choice: WatchChoice): number | undefined;
  /** Starts a watch at a node that was chosen. */
  start(nodeId: number, start: WatchStart): StartedWatch;
  /** Records that a node does not serve a partition. */
  missed(partition: number, nodeId: number): void;
}
