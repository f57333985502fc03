/**
 * Handling of messages by a follower in its term: it accepts entries that follow its log, the
 * commit index, and snapshots, and replies how far its log matches. Candidates use the same
 * functions once a leader appears. Source: thesis Figure 3.1 (AppendEntries), §3.5.
 */
import type { Core } from "./core.ts";
import { hup } from "./election.ts";
import type { Message } from "./message.ts";
import { newMessage, NO_REPLICA } from "./message.ts";
import type { ProposeResult } from "./proposal.ts";
import { handleReadReply } from "./read_index.ts";
import { handleSnapshot } from "./snapshot.ts";

/** Handles a message to a follower of the follower's own term, or without a term. */
export function stepFollower(core: Core, message: Message): ProposeResult {
  switch (message.type) {
    case "propose":
      return forwardProposal(core, message);
    case "append":
    case "heartbeat":
    case "snapshot":
      core.electionElapsed = 0;
      core.lead = message.from;
      handleLeaderMessage(core, message);
      return "accepted";
    case "transfer_leader":
      forwardTransfer(core, message.transferee);
      return "accepted";
    case "timeout_now":
      // Without pre-vote: the leader is known to be alive, and asked for this itself.
      hup(core, "transfer");
      return "accepted";
    case "read_index":
      // The sender takes this replica for the leader; it will learn of the leader and ask again.
      return core.lead === NO_REPLICA ? "no_leader" : "not_leader";
    case "read_index_reply":
      handleReadReply(core, message);
      return "accepted";
    default:
      return "accepted";
  }
}

/** Handles an append, a heartbeat or a snapshot of the leader of this term. */
export function handleLeaderMessage(core: Core, message: Message): void {
  if (message.type === "append") handleAppend(core, message);
  else if (message.type === "heartbeat") handleHeartbeat(core, message);
  else if (message.snapshot !== undefined) handleSnapshot(core, message, message.snapshot);
}

function forwardProposal(core: Core, message: Message): ProposeResult {
  if (core.lead === NO_REPLICA) return "no_leader";
  if (!core.settings.forwardProposals) return "not_leader";
  const forwarded = newMessage("propose", core.lead);
  forwarded.entries = message.entries;
  core.send(forwarded);
  return "accepted";
}

/** Forwards a transfer request to the leader. Returns false if no leader is known. */
export function forwardTransfer(core: Core, transferee: number): boolean {
  if (core.lead === NO_REPLICA) return false;
  const forwarded = newMessage("transfer_leader", core.lead);
  forwarded.transferee = transferee;
  core.send(forwarded);
  return true;
}

function handleAppend(core: Core, message: Message): void {
  const { log } = core;
  const reply = newMessage("append_reply", message.from);
  if (message.index < log.committed) {
    // An old append; all committed entries match.
    reply.index = log.committed;
    reply.commit = log.committed;
    core.send(reply);
    return;
  }
  const prev = { index: message.index, term: message.logTerm };
  const matched = log.maybeAppend(prev, message.entries, message.commit);
  if (matched !== undefined) {
    reply.index = matched;
    reply.commit = log.committed;
    core.send(reply);
    return;
  }
  // Entries here with a higher term than the leader's at that index cannot match, so the guess may
  // skip all of them (§3.5).
  const guess = log.findConflictByTerm(Math.min(message.index, log.lastIndex), message.logTerm);
  reply.index = message.index;
  reply.reject = true;
  reply.rejectHint = guess.index;
  reply.logTerm = guess.term;
  core.send(reply);
}

function handleHeartbeat(core: Core, message: Message): void {
  core.log.commitTo(message.commit);
  const reply = newMessage("heartbeat_reply", message.from);
  reply.commit = core.log.committed;
  reply.read = message.read;
  core.send(reply);
}
