/** The cursors with which a watch begins: behind its positions, at the next change, or with the state. */
import { RegistryError } from "../../base/errors.ts";
import { generationOfTerm } from "../../base/ids.ts";
import { WATCH_STARTS, type WatchPosition } from "../../../schemas/gen/wire.ts";
import { ORDINAL_END } from "../../wire/watch_message.ts";
import { notReplica, type Partition, type PartitionTable } from "../partitions.ts";
import type { Histories } from "./histories.ts";
import type { WatchOrder } from "./watch_order.ts";
import { NEW_CURSOR, type WatcherCursor } from "./watcher.ts";

/** The index that no replica reaches. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** The beginning of a watch. */
export interface WatchStarts {
  /** By partition. */
  readonly cursors: Map<number, WatcherCursor>;
  /** Why the node does not serve the other partitions. */
  readonly refused: ReadonlyMap<number, RegistryError>;
}

/**
 * Returns where a watch begins in each of its partitions, or why it does not: `not_replica` if the
 * partition is elsewhere; `history_lost` for a position of an older generation, `invalid_argument`
 * for one that the leader proves to be of no committed change.
 *
 * @throws RegistryError `invalid_argument` for a partition without any of the wanted keys.
 */
export function startsOf(
  { positions, filter }: WatchOrder,
  table: PartitionTable,
  histories: Histories,
): WatchStarts {
  const cursors = new Map<number, WatcherCursor>();
  const refused = new Map<number, RegistryError>();
  const { partitioner } = table;
  const ofKeys = new Set(
    filter.kinds.flatMap((kind) =>
      filter.keys.map((key): number => partitioner.partitionOf(kind, key, 0, key.length))
    ),
  );
  for (const position of positions) {
    const { partition } = position;
    if (filter.keys.length > 0 && !ofKeys.has(partition)) throw noKeyIn(partition);
    const place = table.at(partition);
    const start = place.isHere ? startOf(position, place, histories) : notReplica(place);
    if (start instanceof RegistryError) refused.set(partition, start);
    else cursors.set(partition, start);
  }
  return { cursors, refused };
}

function startOf(
  position: WatchPosition,
  { store, group }: Partition,
  histories: Histories,
): WatcherCursor | RegistryError {
  const { start, index, ordinal, partition, afterId } = position;
  if (start === WATCH_STARTS.next) {
    return { ...NEW_CURSOR, index: store.appliedIndex, ordinal: ORDINAL_END };
  }
  const isOfState = start === WATCH_STARTS.state;
  if (isOfState && afterId.length === 0) return { ...NEW_CURSOR, next: "state" };
  const cursor = isOfState
    ? { ...NEW_CURSOR, index, ordinal, next: "state" as const, after: afterId }
    : { ...NEW_CURSOR, index, ordinal };
  const { term, lastIndex } = group.status();
  const generation = generationOfTerm(term);
  if (position.generation < generation) return historyLost(position, generation);
  const isLater = position.generation > generation;
  if (isLater || index > store.appliedIndex) {
    // Only a leader that nobody can have replaced knows that there is no such entry.
    const isProven = group.readPoint(0) !== undefined;
    if (isProven && (isLater || index > lastIndex)) return noSuchEntry(position, lastIndex);
    return { ...cursor, index: isLater ? NEVER : index };
  }
  const isCovered = histories.covers(partition, index, ordinal);
  return isCovered ? cursor : { ...NEW_CURSOR, next: "reset" };
}

function historyLost({ partition, generation: found }: WatchPosition, generation: number) {
  return new RegistryError(
    "history_lost",
    `Position in partition ${partition} must be of generation ${generation} of the cluster: ` +
      `it is of generation ${found}`,
    { field: "positions" },
  );
}

function noSuchEntry({ partition, index }: WatchPosition, lastIndex: number): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `Position in partition ${partition} must be of an entry up to ${lastIndex}: found ${index}`,
    { field: "positions" },
  );
}

function noKeyIn(partition: number): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `positions must name partitions of the wanted keys: partition ${partition} has none of them`,
    { field: "positions" },
  );
}
