/**
 * Entries appended by a leader: proposals, within the limit on uncommitted data, and configuration
 * changes, one at a time.
 *
 * Deviation from etcd-io/raft: a change that could not be applied (it would leave no voter, or
 * change two at once without joint consensus) is refused here; etcd-io/raft logs it and panics when
 * it is applied. Source: thesis §3.5, §4.1.
 */
import { assert } from "../base/assert.ts";
import type { ConfChange } from "./conf_change.ts";
import { confChangeOf, leavesJoint } from "./conf_change.ts";
import type { Core } from "./core.ts";
import { changeMembers, isJoint } from "./membership.ts";
import type { Entry, EntryKind } from "./message.ts";
import { EMPTY_DATA, newMessage, NO_REPLICA } from "./message.ts";
import { broadcastAppend } from "./replication.ts";

/** An entry to be appended; its term and index are assigned here. */
export interface Proposal {
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/**
 * The outcome of a proposal. `accepted`: it is in the leader's log or on its way there, not
 * necessarily committed. `conf_change_ignored`: an empty entry took its place, because another
 * change is in progress or it does not fit the configuration. With all others, nothing was
 * appended.
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
  assert(
    core.role === "leader" && proposals.length > 0,
    "Only a leader appends, at least one entry",
  );
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

/** Reports whether `change` may enter the log now, later, or never. */
function fitOf(
  core: Core,
  change: ConfChange,
  pendingConfIndex: number,
): "fits" | "not_now" | "invalid" {
  if (pendingConfIndex > core.log.applied) return "not_now";
  const leaves = change.changes.length === 0;
  if (isJoint(core.configuration) !== leaves) return "not_now";
  // An empty change with a transition would enter a joint configuration during joint consensus.
  if (leaves && !leavesJoint(change)) return "invalid";
  const from = { lastIndex: core.log.lastIndex, limits: core.settings };
  return typeof changeMembers(core, change, from) === "string" ? "invalid" : "fits";
}

/** Appends entries of this term. Returns false, and does nothing, if too much is uncommitted. */
export function appendAsLeader(core: Core, proposals: readonly Proposal[]): boolean {
  const { log, term } = core;
  let bytes = 0;
  for (const { data } of proposals) bytes += data.length;
  if (!takeUncommitted(core, bytes)) return false;
  let index = log.lastIndex;
  log.append(proposals.map(({ kind, data }): Entry => ({ term, index: ++index, kind, data })));
  // The leader, too, acknowledges to itself only when its own log is durable (§10.2.1).
  const reply = newMessage("append_reply", core.id);
  reply.index = index;
  core.send(reply);
  return true;
}

/** Reserves room for `bytes` of uncommitted data. Returns false if that exceeds the limit. */
export function takeUncommitted(core: Core, bytes: number): boolean {
  // With nothing uncommitted, a proposal of any size passes. Empty entries always pass: the entry
  // that opens a term, and the one that leaves a joint configuration.
  const before = core.uncommittedBytes;
  if (before > 0 && bytes > 0 && before + bytes > core.settings.uncommittedBytesMax) return false;
  core.uncommittedBytes = before + bytes;
  return true;
}

/** Releases the room of applied entries with `bytes` of data. */
export function releaseUncommitted(core: Core, bytes: number): void {
  // Entries of an earlier leader were never counted, so this may be less than `bytes`.
  core.uncommittedBytes = Math.max(0, core.uncommittedBytes - bytes);
}
