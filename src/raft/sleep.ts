/**
 * When a group may sleep: nothing is under way, and every live member holds all of the log and knows
 * that it is committed. From then on neither tick nor heartbeat has anything to tell; node liveness
 * stands in for both.
 *
 * Beyond the model: replies carry the member's commit index, for what was sent may be lost.
 */
import type { Core } from "./core.ts";
import { isJoint } from "./membership.ts";
import { NO_REPLICA } from "./message.ts";

/** Whether this replica leads and owes nothing to any member that `isLive`. */
export function maySleep(core: Core, isLive: (replica: number) => boolean): boolean {
  const { log, reads } = core;
  const last = log.lastIndex;
  if (core.role !== "leader" || core.transferee !== NO_REPLICA) return false;
  if (log.committed !== last || log.applied !== last || log.unstable.entryCount > 0) return false;
  if (core.messages.length > 0 || core.messagesAfterAppend.length > 0) return false;
  if (reads !== undefined && reads.confirming.length + reads.waiting.length > 0) return false;
  // A joint configuration is one that somebody still has to leave.
  if (isJoint(core.configuration)) return false;
  return core.progress.every((member) => {
    return member.id === core.id || !isLive(member.id) ||
      (member.match === last && member.knownCommit === last && member.state === "replicate");
  });
}
