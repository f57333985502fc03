/** The outcome of a read that is served in place. */
import type { Group, ReadPoint } from "../replication/group_interface.ts";

/** Group whose permission a read lacks. */
export type ReadBarrier = Pick<Group<unknown>, "readBarrier">;

/**
 * Permissions that a request has waited for. A permission that came after the request stays valid for
 * that request: the replica only moves on from the point that was permitted. A leader without a lease
 * gives permissions in no other way. Only permissions without an age are kept: that of a follower
 * grows older while the request waits for another group, so it is asked for again.
 */
export type ReadPermits = ReadonlyMap<ReadBarrier, ReadPoint>;

/** Result of a read: the code of the answer, or the group to wait for; then nothing was written. */
export type ReadAnswer = "ok" | "not_found" | ReadBarrier;

/** Returns the permission to read a group now, or the one that the request has waited for. */
export function pointOf(
  group: Group<unknown>,
  maxStalenessMs: number,
  permits: ReadPermits | undefined,
): ReadPoint | undefined {
  return group.readPoint(maxStalenessMs) ?? permits?.get(group);
}

/**
 * Returns the group to wait for, if this node is the one to permit a read of its partition.
 *
 * @throws RegistryError `not_leader` or `too_stale`, with the leader as the hint if it is known.
 */
export function permitting(group: Group<unknown>, maxStalenessMs: number): ReadBarrier {
  const refusal = group.readElsewhere(maxStalenessMs);
  if (refusal !== undefined) throw refusal;
  return group;
}
