/**
 * Entries that a leader appends to its log: proposals, within the limit of what is not committed,
 * and changes of the configuration, one at a time.
 *
 * Beyond the model: a change that could not be applied (it would leave no voter, or change two at
 * once without joint consensus) is refused here, where the model lets it into the log and panics
 * when it is applied. Source: thesis §3.5, §4.1.
 */
import { assert } from "../base/assert.ts";
import type { ConfChange } from "./conf_change.ts";
import { confChangeOf, leavesJoint } from "./conf_change.ts";
import type { Core } from "./core.ts";
import { changeMembers, isJoint } from "./membership.ts";
import type { Entry, EntryKind } from "./message.ts";
import { EMPTY_DATA, newMessage, NO_REPLICA } from "./message.ts";
import { broadcastAppend } from "./replication.ts";

/** What is to be appended; its place is found here. */
export interface Proposal {
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/**
 * What became of a proposal. `accepted` says that it is in the leader's log or on its way there,
 * not that it is committed; `conf_change_ignored` that an empty entry took its place, for another
 * change is under way or it does not fit the configuration. All others: nothing happened.
 */
export type ProposeResult =
  | "accepted"
  | "conf_change_ignored"
  | "conf_change_invalid"
  | "no_leader"
  | "not_leader"
  | "not_member"
  | "transferring"
  | "over_limit";

/** Appends `proposals` to the leader's log, all or none, and sends them. */
export function proposeAsLeader(core: Core, proposals: readonly Proposal[]): ProposeResult {
  assert(core.role === "leader" && proposals.length > 0, "A leader proposes something");
  if (core.member(core.id) === undefined) return "not_member";
  if (core.transferee !== NO_REPLICA) return "transferring";
  if (proposals.every(({ kind }) => kind === "normal")) {
    if (!appendAsLeader(core, proposals)) return "over_limit";
    broadcastAppend(core);
    return "accepted";
  }
  const checked = checkConfChanges(core, proposals);
  if (checked === "conf_change_invalid") return checked;
  if (!appendAsLeader(core, checked.proposals)) return "over_limit";
  core.pendingConfIndex = checked.pendingConfIndex;
  broadcastAppend(core);
  return checked.ignored ? "conf_change_ignored" : "accepted";
}

interface Checked {
  readonly proposals: readonly Proposal[];
  readonly pendingConfIndex: number;
  readonly ignored: boolean;
}

function checkConfChanges(
  core: Core,
  proposals: readonly Proposal[],
): Checked | "conf_change_invalid" {
  let { pendingConfIndex } = core;
  const checked: Proposal[] = [];
  let ignored = false;
  for (const proposal of proposals) {
    const change = confChangeOf(proposal);
    if (change !== undefined) {
      const fit = core.settings.skipConfChangeChecks
        ? "fits"
        : fitOf(core, change, pendingConfIndex);
      if (fit === "invalid") return "conf_change_invalid";
      if (fit === "not_now") {
        ignored = true;
        checked.push({ kind: "normal", data: EMPTY_DATA });
        continue;
      }
      pendingConfIndex = core.log.lastIndex + checked.length + 1;
    }
    checked.push(proposal);
  }
  return { proposals: checked, pendingConfIndex, ignored };
}

/** Whether `change` may enter the log now, may later, or can never be applied. */
function fitOf(
  core: Core,
  change: ConfChange,
  pendingConfIndex: number,
): "fits" | "not_now" | "invalid" {
  if (pendingConfIndex > core.log.applied) return "not_now";
  const leaves = change.changes.length === 0;
  if (isJoint(core.configuration) !== leaves) return "not_now";
  // An empty change with a transition would enter a joint configuration while there is one.
  if (leaves && !leavesJoint(change)) return "invalid";
  const from = { lastIndex: core.log.lastIndex, limits: core.settings };
  return typeof changeMembers(core, change, from) === "string" ? "invalid" : "fits";
}

/** Appends at this term; false, and nothing done, when too much is not committed already. */
export function appendAsLeader(core: Core, proposals: readonly Proposal[]): boolean {
  const { log, term } = core;
  let bytes = 0;
  for (const { data } of proposals) bytes += data.length;
  if (!takeUncommitted(core, bytes)) return false;
  let index = log.lastIndex;
  log.append(proposals.map(({ kind, data }): Entry => ({ term, index: ++index, kind, data })));
  // The leader acknowledges to itself, too, only when its own log is durable (§10.2.1).
  const reply = newMessage("append_reply", core.id);
  reply.index = index;
  core.send(reply);
  return true;
}

/** Takes room for `bytes` of data that are not committed; false where that is too much. */
export function takeUncommitted(core: Core, bytes: number): boolean {
  // Some proposal must always get through, however large, and what is empty always does: the entry
  // that opens a term, and the one that leaves a joint configuration.
  const before = core.uncommittedBytes;
  if (before > 0 && bytes > 0 && before + bytes > core.settings.uncommittedBytesMax) return false;
  core.uncommittedBytes = before + bytes;
  return true;
}

/** Notes that entries with `bytes` of data are applied, and so no longer count as uncommitted. */
export function releaseUncommitted(core: Core, bytes: number): void {
  // What an earlier leader appended was never counted, so that this may be less than `bytes`.
  core.uncommittedBytes = Math.max(0, core.uncommittedBytes - bytes);
}
