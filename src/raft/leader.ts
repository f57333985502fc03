/**
 * Handling of ticks and messages by a leader: acknowledgements move the commit index, rejections
 * move probes, and silence of a quorum ends its leadership. Source: thesis §3.5, §6.2 (leaders step
 * down).
 */
import { assert } from "../base/assert.ts";
import type { Core } from "./core.ts";
import type { Message } from "./message.ts";
import { NO_REPLICA } from "./message.ts";
import type { Progress } from "./progress.ts";
import { proposeAsLeader, type ProposeResult } from "./proposal.ts";
import { voteResult } from "./quorum.ts";
import { confirmRound, currentRound, leaderRead, releaseWaitingReads } from "./read_index.ts";
import { broadcastAppend, broadcastHeartbeat, maybeCommit, sendAppend } from "./replication.ts";
import { becomeFollower } from "./roles.ts";
import { continueTransfer, transferLeadership } from "./transfer.ts";

/**
 * Handles one tick of a leader: checks the quorum at each election timeout, and sends heartbeats at
 * each heartbeat timeout.
 */
export function tickLeader(core: Core): void {
  core.heartbeatElapsed++;
  core.electionElapsed++;
  if (core.electionElapsed >= core.settings.electionTicks) {
    core.electionElapsed = 0;
    if (core.settings.checkQuorum) checkQuorum(core);
    if (core.role !== "leader") return;
    // A transfer that took longer than an election timeout is aborted; this leader continues.
    core.transferee = NO_REPLICA;
  }
  if (core.heartbeatElapsed >= core.settings.heartbeatTicks) {
    core.heartbeatElapsed = 0;
    broadcastHeartbeat(core, currentRound(core));
  }
}

/** Steps down unless a quorum was active since the last check, and starts a new period. */
function checkQuorum(core: Core): void {
  const active = voteResult(core.configuration, (id) => core.member(id)?.recentActive ?? false);
  if (active !== "won") becomeFollower(core, core.term, NO_REPLICA);
  for (const member of core.progress) {
    if (member.id !== core.id) member.recentActive = false;
  }
}

/** Handles a message to a leader of the leader's own term, or without a term. */
export function stepLeader(core: Core, message: Message): ProposeResult | "overloaded" {
  switch (message.type) {
    case "propose":
      return proposeAsLeader(core, message.entries);
    case "read_index": {
      const read = { requester: message.from, token: message.read! };
      return leaderRead(core, read) ? "accepted" : "overloaded";
    }
    case "transfer_leader":
      transferLeadership(core, message.transferee);
      return "accepted";
    default: {
      const member = core.member(message.from);
      if (member === undefined) return "accepted";
      if (message.type === "append_reply") handleAppendReply(core, member, message);
      else if (message.type === "heartbeat_reply") handleHeartbeatReply(core, member, message);
      return "accepted";
    }
  }
}

/** Handles an acknowledgement by this leader's own log; see {@link handleAppendAcknowledged}. */
export function acknowledgeOwn(core: Core, index: number): void {
  const self = core.member(core.id);
  if (self === undefined) return;
  self.recentActive = true;
  handleAppendAcknowledged(core, self, index);
}

function handleAppendReply(core: Core, member: Progress, message: Message): void {
  member.recentActive = true;
  member.knownCommit = Math.max(member.knownCommit, message.commit);
  if (message.reject) handleAppendRefused(core, member, message);
  else handleAppendAcknowledged(core, member, message.index);
}

/**
 * Searches for the index at which the logs match. The member sent its guess and the term it holds
 * there; entries here with a higher term cannot match, so at most one probe is needed per term
 * (§3.5).
 */
function handleAppendRefused(core: Core, member: Progress, message: Message): void {
  let hint = message.rejectHint;
  if (message.logTerm > 0) hint = core.log.findConflictByTerm(hint, message.logTerm).index;
  if (!member.maybeDecrease(message.index, hint)) return;
  if (member.state === "replicate") member.becomeProbe();
  sendAppend(core, member, true);
}

function handleAppendAcknowledged(core: Core, member: Progress, index: number): void {
  const isSelf = member.id === core.id;
  assert(
    !isSelf || index < core.log.unstable.offsetInProgress,
    () => `The leader counts entry ${index} of its own, which was not handed out to be written`,
  );
  // A reply to a probe ends the probing even if it acknowledges nothing new.
  const isNew = member.maybeUpdate(index);
  if (!isNew && !(member.match === index && member.state === "probe")) return;
  if (member.state === "probe") {
    member.becomeReplicate();
  } else if (member.state === "snapshot") {
    // Whichever snapshot it installed, it can now catch up from the log.
    if (member.match + 1 >= core.log.firstIndex) {
      member.becomeProbe();
      member.becomeReplicate();
    }
  } else {
    member.inflights.freeTo(index);
  }
  if (maybeCommit(core)) {
    releaseWaitingReads(core);
    broadcastAppend(core);
  } else if (!isSelf && member.canBumpCommit(core.log.committed)) {
    sendAppend(core, member, true);
  }
  if (isSelf) return;
  // The window has room again; send entries until it is full.
  while (sendAppend(core, member, false));
  continueTransfer(core, member);
}

function handleHeartbeatReply(core: Core, member: Progress, message: Message): void {
  member.recentActive = true;
  member.flowPaused = false;
  member.knownCommit = Math.max(member.knownCommit, message.commit);
  // A member with a full window gets an empty append: if all its appends were lost, it would wait
  // forever without one. For a member being probed, this append can end the probing.
  if (member.match < core.log.lastIndex || member.state === "probe") {
    sendAppend(core, member, true);
  }
  if (message.read !== undefined) confirmRound(core, member, message.read);
}
