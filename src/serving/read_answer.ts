/** The outcome of a read that is served in place. */
import type { Group } from "../replication/group_interface.ts";

/** Group whose permission a read lacks. */
export type ReadBarrier = Pick<Group<unknown>, "readBarrier">;

/** Result of a read: the code of the answer, or the group to wait for; then nothing was written. */
export type ReadAnswer = "ok" | "not_found" | ReadBarrier;
