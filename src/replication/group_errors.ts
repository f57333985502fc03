/** What a group answers where it does not do what was asked, by code. */
import { RegistryError } from "../base/errors.ts";
import type { GroupId, NodeId } from "../base/ids.ts";
import { GROUP_RETRY_MS } from "../base/limits.ts";
import type { ProposeResult } from "../raft/mod.ts";

/** How a group ended: by its owner, by a broken invariant, or with its log. */
export type GroupEnd = "closed" | "failed" | "given_up";

/** Why a group that ended does nothing. */
export function endedError(group: GroupId, end: GroupEnd): RegistryError {
  switch (end) {
    case "closed":
      return new RegistryError("shutting_down", `Group ${group} is closed`);
    case "failed":
      return new RegistryError("internal", `Group ${group} is quarantined: see the log`);
    case "given_up":
      return new RegistryError("storage_unavailable", `Group ${group} has lost its log`);
  }
}

/** What a proposal is told that waits when its group ends: it may be in a log, here or elsewhere. */
export function openProposalError(group: GroupId, end: GroupEnd): RegistryError {
  if (end !== "closed") return endedError(group, end);
  return new RegistryError(
    "connection_lost",
    `Group ${group} was closed before the command was applied: its outcome is not known`,
  );
}

/** @param leader as far as it is known, and unless it is this node. */
export function notLeaderError(group: GroupId, leader: NodeId | undefined): RegistryError {
  if (leader === undefined) {
    return new RegistryError("not_leader", `Group ${group} has no leader here yet`);
  }
  return new RegistryError("not_leader", `Group ${group} is led by node ${leader}`, {
    leaderHint: leader,
  });
}

/** Too much of something; nothing was done, and it may be tried again soon. */
export function overloadedError(message: string): RegistryError {
  return new RegistryError("overloaded", message, { retryAfterMs: GROUP_RETRY_MS });
}

/** Why a proposal was not taken; undefined: it was. `notLeader` is asked where that is why. */
export function proposalError(
  group: GroupId,
  result: ProposeResult,
  notLeader: () => RegistryError,
): RegistryError | undefined {
  switch (result) {
    case "accepted":
      return undefined;
    case "no_leader":
    case "not_leader":
    case "not_member":
      return notLeader();
    case "transferring":
      return overloadedError(`Group ${group} hands its leadership over`);
    case "over_limit":
      return overloadedError(`Group ${group} has too much that is not committed`);
    case "conf_change_ignored":
      return overloadedError(`Group ${group} is changing its configuration`);
    case "conf_change_invalid":
      return new RegistryError("invalid_argument", "The configuration cannot be changed so", {
        field: "change",
      });
  }
}
