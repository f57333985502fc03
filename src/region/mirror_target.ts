/** The partitions of this cluster, as a puller writes mirrors to them. */
import type { MirrorCursor } from "../../schemas/gen/record.ts";
import type { Position } from "../base/position.ts";

/** Result of a logged command. */
export interface LoggedMirrors {
  /** Number of changes that took effect. */
  readonly count: number;
  /** Number of changes that must not be mirrored, or cannot be read. */
  readonly refused: number;
}

/** A mirror that a partition has. */
export interface SeenMirror {
  readonly kind: number;
  readonly id: Uint8Array;
  /** Generation of the feed of its last change, and that change's position. */
  readonly feed: number;
  readonly revision: Position;
}

/** An alias of another region that a partition has. */
export interface SeenAlias {
  readonly domain: string;
  readonly agentId: Uint8Array;
  readonly claim: Position;
  readonly feed: number;
  readonly revision: Position;
}

/** State of one region's feed in a partition. */
export interface SeenSource {
  /** Generation of the feed that it follows; 0: none. */
  readonly feed: number;
  readonly cursors: readonly MirrorCursor[];
}

/** The partitions of a cluster; each call reaches the partition's leader, wherever it is. */
export interface MirrorTarget {
  readonly partitionCount: number;
  /** Returns the partition of a key: kind and canonical bytes. */
  partitionOf(kind: number, key: Uint8Array): number;
  /**
   * Logs a command on mirrors.
   *
   * @throws RegistryError the refusal of the partition; with a code that is not `unapplied` the outcome
   * is unknown.
   */
  log(partition: number, command: Uint8Array): Promise<LoggedMirrors>;
  /** Returns the state of a region's feed after all that was logged before. @throws RegistryError */
  source(partition: number, home: string): Promise<SeenSource>;
  /** Calls the visitors for all of a region's mirrors and aliases in a partition. @throws RegistryError */
  scan(partition: number, home: string, visitors: MirrorVisitors): Promise<void>;
}

/** Visitors of a {@link MirrorTarget.scan}. */
export interface MirrorVisitors {
  readonly mirror: (seen: SeenMirror) => void;
  readonly alias: (seen: SeenAlias) => void;
}
