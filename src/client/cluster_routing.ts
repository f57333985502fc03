/** The interface through which calls of many partitions are routed. */
import type { RegistryError } from "../base/errors.ts";
import type { Partitioner } from "../ring/partition.ts";
import type { CallOptions } from "./call_options.ts";
import type { Deadline } from "./deadline.ts";

/** One request of a call that takes several: the items for the partitions that one node leads. */
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

/** Services of the router to calls of many partitions. */
export interface ClusterRouting {
  readonly partitioner: Partitioner;

  /** Starts the deadline of a call. */
  deadline(options: CallOptions): Deadline;

  /**
   * Groups items by the node to ask.
   *
   * @param round increases when items are asked again, so that other replicas have their turn.
   * @param alone partitions that get a request of their own.
   */
  plan(
    positions: readonly number[],
    partitionOf: (position: number) => number,
    round: number,
    alone: ReadonlySet<number>,
  ): PlannedPart[];

  /** Records that `nodeId` did not serve `partition` as its leader. */
  refused(partition: number, nodeId: number): void;

  /**
   * Pauses before the next round, if it needs a pause.
   *
   * @returns false if the deadline comes first, or the client is closed.
   */
  pause(round: number, deadline: Deadline): Promise<boolean>;
}

/** Reports whether another node may serve what was refused with `error`. */
export function isForOthers({ code }: RegistryError): boolean {
  return code === "not_leader" || code === "not_replica" || code === "connection_lost" ||
    code === "shutting_down";
}
