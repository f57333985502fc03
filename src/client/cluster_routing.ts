/** The interface through which calls of many partitions are routed. */
import type { ErrorCode, RegistryError } from "../base/errors.ts";
import type { Partitioner } from "../ring/partition.ts";
import type { CallOptions } from "./call_options.ts";
import type { Deadline } from "./deadline.ts";

/** One request of a call that takes several: the items for the partitions that one node serves. */
export interface Part {
  /** One of the partitions. */
  readonly partition: number;
  /** Whether it is the only one, so that a refusal and its hint are about it. */
  readonly isExact: boolean;
  /** The node that is asked; 0 if any. */
  readonly nodeId: number;
  /** The node that answered; 0 until it did. */
  servedBy: number;
}

/** Positions of items, and the request that serves them. */
export interface PlannedPart {
  readonly part: Part;
  readonly positions: readonly number[];
}

/** The items of a call that are to be asked. */
export interface PlannedItems {
  readonly positions: readonly number[];
  readonly partitionOf: (position: number) => number;
  /** Increases when items are asked again, so that other replicas have their turn. */
  readonly round: number;
  /** Partitions that get a request of their own. */
  readonly alone: ReadonlySet<number>;
  /** For reads: the age that is accepted, ms, so that followers are asked; 0 for the leaders. */
  readonly maxStalenessMs: number;
}

/** That a node did not serve a partition. */
export interface PartitionRefusal {
  readonly partition: number;
  readonly nodeId: number;
  /** The age that was accepted, ms. */
  readonly maxStalenessMs: number;
  /** The reason, where it is known. */
  readonly code?: ErrorCode;
}

/** Services of the router to calls of many partitions. */
export interface ClusterRouting {
  readonly partitioner: Partitioner;

  /** Starts the deadline of a call. */
  deadline(options: CallOptions): Deadline;

  /**
   * Returns the age that a read with these options accepts, ms; 0 if it must be linearizable.
   *
   * @throws RegistryError `invalid_argument`.
   */
  stalenessOf(options: CallOptions): number;

  /** Groups items by the node to ask. */
  plan(items: PlannedItems): PlannedPart[];

  /** Records that a node did not serve a partition. */
  refused(refusal: PartitionRefusal): void;

  /**
   * Pauses before the next round, if it needs a pause.
   *
   * @returns false if the deadline comes first, or the client is closed.
   */
  pause(round: number, deadline: Deadline): Promise<boolean>;
}

/** Reports whether another node may serve what was refused with `error`. */
export function isForOthers({ code }: RegistryError): boolean {
  return code === "not_leader" || code === "not_replica" || code === "too_stale" ||
    code === "connection_lost" || code === "shutting_down";
}
