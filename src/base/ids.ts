/**
 * Branded identifiers. Bounds are checked once, where a plain value becomes an identifier; after
 * that the type is the proof. All numeric identifiers are integers that a double represents exactly
 * (at most 2^53 - 1).
 */

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A node of a cluster, from 1. */
export type NodeId = Brand<number, "NodeId">;
/** A Raft group on a node: 0 is the system group, p + 1 that of partition p, 8193 the governed plane. */
export type GroupId = Brand<number, "GroupId">;
/** A partition of the key space, `[0, partitionCount)`. */
export type PartitionId = Brand<number, "PartitionId">;
/** A replica of a group: assigned by the system group, each id once only. */
export type ReplicaId = Brand<number, "ReplicaId">;
/** A Raft term, from 0. */
export type Term = Brand<number, "Term">;
/** A position in a group's log; the first entry has index 1. */
export type LogIndex = Brand<number, "LogIndex">;
/** A group's own time, ms: it stands still while the group has no leader and never goes back. */
export type GroupTimeMs = Brand<number, "GroupTimeMs">;

const UINT32_MAX = 0xffff_ffff;

function checked(value: number, min: number, max: number, name: string): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(
      `${name} must be an integer in [${min}, ${max}]: current value is ${value}`,
    );
  }
  return value;
}

/** Checks that `value` is a node id, `[1, 2^32)`. */
export function nodeId(value: number): NodeId {
  return checked(value, 1, UINT32_MAX, "Node id") as NodeId;
}

/** Checks that `value` is a group id, `[0, 8193]`. */
export function groupId(value: number): GroupId {
  return checked(value, 0, 8193, "Group id") as GroupId;
}

/** Checks that `value` is a partition id, `[0, 8192)`. */
export function partitionId(value: number): PartitionId {
  return checked(value, 0, 8191, "Partition id") as PartitionId;
}

/** Checks that `value` is a replica id, `[1, 2^53)`. */
export function replicaId(value: number): ReplicaId {
  return checked(value, 1, Number.MAX_SAFE_INTEGER, "Replica id") as ReplicaId;
}

/** Checks that `value` is a term, `[0, 2^53)`. */
export function term(value: number): Term {
  return checked(value, 0, Number.MAX_SAFE_INTEGER, "Term") as Term;
}

/**
 * Number of terms in one generation. Incarnations are (generation, index) and must never be reused,
 * not even for indexes that a log lost and assigns again, so every loss of log raises the
 * generation. The generation is part of the term, and so of every entry, hard state and image, and
 * all replicas agree on it.
 */
const GENERATION_TERMS = 2 ** 32;

/** The highest generation whose terms a replica adopts that is new in its group (`RAFT_FIRST_TERM_MAX`). */
export const GENERATION_MAX = 256;

/** Returns the generation, from 1, of incarnations created by an entry of that term. */
export function generationOfTerm(value: number): number {
  return 1 + Math.floor(value / GENERATION_TERMS);
}

/** Returns the lowest term that a group may have under that generation. */
export function firstTermOf(generation: number): Term {
  return term((generation - 1) * GENERATION_TERMS);
}

/** Checks that `value` is a log index, `[0, 2^53)`; 0 precedes the first entry. */
export function logIndex(value: number): LogIndex {
  return checked(value, 0, Number.MAX_SAFE_INTEGER, "Log index") as LogIndex;
}

/** Checks that `value` is a group time, `[0, 2^53)` ms. */
export function groupTimeMs(value: number): GroupTimeMs {
  return checked(value, 0, Number.MAX_SAFE_INTEGER, "Group time") as GroupTimeMs;
}

/** The system group. */
export const SYSTEM_GROUP: GroupId = groupId(0);

/** Returns the group that holds a partition. */
export function groupOfPartition(partition: PartitionId): GroupId {
  return (partition + 1) as GroupId;
}

/**
 * The governed plane in the placement table: it is placed, joined and moved as partitions are, under the
 * number after the highest that one can have, and holds no records.
 */
export const GOVERNED_PLACE = 8192 as PartitionId;

/** The group of the governed plane. */
export const GOVERNED_GROUP: GroupId = groupOfPartition(GOVERNED_PLACE);

/** Checks that `value` is a number of the placement table: a partition's or the governed plane's. */
export function placeId(value: number): PartitionId {
  return value === GOVERNED_PLACE ? GOVERNED_PLACE : partitionId(value);
}

/** Returns the partition that a group holds; `undefined` for the other groups. */
export function partitionOfGroup(group: GroupId): PartitionId | undefined {
  const holdsNone = group === SYSTEM_GROUP || group === GOVERNED_GROUP;
  return holdsNone ? undefined : (group - 1) as PartitionId;
}

/** Returns the name of a group in messages: its partition, by which operators know it, or its task. */
export function groupName(group: GroupId): string {
  if (group === GOVERNED_GROUP) return "The governed plane";
  const partition = partitionOfGroup(group);
  return partition === undefined ? `Group ${group}` : `Partition ${partition}`;
}
