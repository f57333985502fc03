/**
 * Ids in the shared log that no group has. Under them a node keeps durable state of its own in the
 * form of hard states, so that it is written, compacted and recovered in one order with the groups'
 * state. Groups use `[0, 8193]`; the ids here are stable, because logs contain them.
 */
import { RegistryError } from "../base/errors.ts";
import type { GroupId, LogIndex, ReplicaId, Term } from "../base/ids.ts";
import type { LoggedHardState } from "../storage/shared_log.ts";

/** The id under which a node stores the counter of its runs and epochs, and its support. */
export const NODE_STATE_GROUP: GroupId = 0xffff as GroupId;

/** The owner record of group g has the id `OWNER_RECORDS + g`. */
const OWNER_RECORDS = 0x8000;

/**
 * Returns the id of a group's owner record, which names the replica that the log's content of the
 * group belongs to. A group without one belongs to its founder.
 */
export function ownerRecordOf(group: GroupId): GroupId {
  return (OWNER_RECORDS + group) as GroupId;
}

/** Returns the group whose owner record has that id; undefined for all other ids. */
export function groupOfOwnerRecord(id: GroupId): GroupId | undefined {
  const isRecord = id >= OWNER_RECORDS && id !== NODE_STATE_GROUP;
  return isRecord ? (id - OWNER_RECORDS) as GroupId : undefined;
}

/** The replica that a node's log has, or had, of a group. */
export interface Owner {
  readonly replica: ReplicaId;
  /** Whether the replica was removed from the node for good. */
  readonly isRetired: boolean;
}

/**
 * Encodes an owner record. The replica takes the place of the vote: the highest term in a log
 * determines the log's generation, so that a replica id must not appear as one. The place of the commit
 * index says whether the replica was removed.
 */
export function encodeOwner(replica: ReplicaId, { isRetired = false } = {}): LoggedHardState {
  return { term: 0 as Term, vote: replica, commit: Number(isRetired) as LogIndex };
}

/** Decodes an owner record. @throws RegistryError `corrupt` if it names no replica. */
export function decodeOwner({ vote, commit }: LoggedHardState): Owner {
  if (vote > 0) return { replica: vote as ReplicaId, isRetired: commit > 0 };
  throw new RegistryError("corrupt", "An owner record must name a replica: found 0");
}
