/** The errors that a group answers with, by code. */
import { RegistryError } from "../base/errors.ts";
import { type GroupId, groupName, type NodeId } from "../base/ids.ts";
import { GROUP_RETRY_MS, WAL_PROBE_MS } from "../base/limits.ts";
import type { ProposeResult } from "../raft/mod.ts";

/** The reason why a group ended: closed by its owner, a broken invariant, or the loss of its log. */
export type GroupEnd = "closed" | "failed" | "given_up";

/** Returns the answer of a group that ended. */
export function endedError(group: GroupId, end: GroupEnd): RegistryError {
  switch (end) {
    case "closed":
      return new RegistryError("shutting_down", `${groupName(group)} is closed`);
    case "failed":
      return new RegistryError("internal", `${groupName(group)} is quarantined: see the log`);
    case "given_up":
      return new RegistryError("storage_unavailable", `${groupName(group)} has lost its log`);
  }
}

/**
 * Returns the answer to proposals that are open when their group ends. Their entries may be in a log,
 * here or elsewhere.
 */
export function openProposalError(group: GroupId, end: GroupEnd): RegistryError {
  if (end !== "closed") return endedError(group, end);
  return new RegistryError(
    "connection_lost",
    `${groupName(group)} was closed before the command was applied: its outcome is not known`,
  );
}

/**
 * Returns `not_leader`.
 *
 * @param leader the leader's node, if known and not this node.
 * @param term the term in which it leads.
 */
export function notLeaderError(
  group: GroupId,
  leader: NodeId | undefined,
  term: number,
): RegistryError {
  if (leader === undefined) {
    return new RegistryError("not_leader", `${groupName(group)} has no leader here yet`);
  }
  return new RegistryError("not_leader", `${groupName(group)} is led by node ${leader}`, {
    leaderHint: leader,
    leaderTerm: term,
  });
}

/** Returns the answer while the log takes no writes. */
export function logUnwritable(): RegistryError {
  return new RegistryError("storage_unavailable", "The log takes no writes now", {
    retryAfterMs: WAL_PROBE_MS,
  });
}

/** Returns `overloaded`: nothing was done, and the caller may retry soon. */
export function overloadedError(message: string): RegistryError {
  return new RegistryError("overloaded", message, { retryAfterMs: GROUP_RETRY_MS });
}

/** Returns why a proposal was refused; undefined if accepted. `notLeader` makes that error lazily. */
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
      return overloadedError(`${groupName(group)} is transferring its leadership`);
    case "over_limit":
      return overloadedError(`${groupName(group)} has too much uncommitted data`);
    case "conf_change_ignored":
      return overloadedError(`${groupName(group)} is changing its configuration`);
    case "conf_change_invalid":
      return new RegistryError(
        "invalid_argument",
        "The configuration cannot be changed in this way",
        {
          field: "change",
        },
      );
  }
}
