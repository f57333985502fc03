/** The outcome of a read that is served in place. */
import type { Group } from "../replication/group_interface.ts";

/** Group whose permission a read lacks. */
export type ReadBarrier = Pick<Group<unknown>, "readBarrier">;

/** Result of a read: the code of the answer, or the group to wait for; then nothing was written. */
export type ReadAnswer = "ok" | "not_found" | ReadBarrier;

/**
 * Returns the group to wait for, if this node is the one to permit a read of its partition.
 *
 * @throws RegistryError `not_leader`, with the leader as the hint if it is known.
 */
export function permitting(group: Group<unknown>): ReadBarrier {
  const refusal = group.notLeading();
  if (refusal !== undefined) throw refusal;
  return group;
}
