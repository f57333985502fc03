/**
 * The condition under which a group may sleep: nothing is pending, and every live member holds the
 * whole log and knows that it is committed. Ticks and heartbeats then carry no information; node
 * liveness replaces both.
 *
 * Deviation from etcd-io/raft: replies carry the member's commit index, because what was sent may
 * be lost.
 */
import type { Core } from "./core.ts";
import { isJoint } from "./membership.ts";
import { NO_REPLICA } from "./message.ts";

/**
 * Reports whether this replica leads and every member for which `isLive` is true is up to date, and was
 * heard of since the last check of the quorum: without ticks, what is noted of a member stays as it is.
 */
export function maySleep(core: Core, isLive: (replica: number) => boolean): boolean {
  const { log, reads } = core;
  const last = log.lastIndex;
  if (core.role !== "leader" || core.transferee !== NO_REPLICA) return false;
  if (log.committed !== last || log.applied !== last || log.unstable.entryCount > 0) return false;
  if (core.messages.length > 0 || core.messagesAfterAppend.length > 0) return false;
  if (reads !== undefined && reads.confirming.length + reads.waiting.length > 0) return false;
  // A joint configuration still has to be left.
  if (isJoint(core.configuration)) return false;
  return core.progress.every((member) => {
    return member.id === core.id || !isLive(member.id) ||
      (member.recentActive && member.match === last && member.knownCommit === last &&
        member.state === "replicate");
  });
}
