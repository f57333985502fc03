/**
 * Handling of one message: first its term, which may end this replica's role, then its type.
 * Source: thesis Figure 3.1 (rules for all servers), §4.2.3, §9.6.
 */
import { entriesApplied, snapshotApplied } from "./apply.ts";
import type { Core } from "./core.ts";
import { askAgainAfter, campaign, countVote, handleVoteRequest } from "./election.ts";
import { ignoresVoteRequest, learnCommit, postponePreVote, rejectPreVote } from "./election.ts";
import { handleLeaderMessage, stepFollower } from "./follower.ts";
import { stepLeader } from "./leader.ts";
import type { Message } from "./message.ts";
import { EMPTY_DATA, newMessage, NO_REPLICA } from "./message.ts";
import { assert } from "../base/assert.ts";
import { appendAsLeader, type ProposeResult } from "./proposal.ts";
import { broadcastAppend } from "./replication.ts";
import { becomeFollower, becomeLeader } from "./roles.ts";

/**
 * The outcome of a message that passed `inspect`. All but `accepted` changed neither role nor log.
 */
export type StepOutcome =
  | ProposeResult
  /**
   * The message is of an older term; the sender gets a reply where it needs to learn of the newer
   * one.
   */
  | "older_term"
  /** A vote request while a leader is alive. */
  | "leader_alive"
  /** Too many reads are waiting. */
  | "overloaded";

/** Handles a message that passed `inspect`. */
export function step(core: Core, message: Message): StepOutcome {
  const { term, type } = message;
  const asksForVote = type === "vote" || type === "pre_vote";
  if (asksForVote && term >= core.term && ignoresVoteRequest(core, message)) {
    if (type === "pre_vote") postponePreVote(core, message.from);
    return "leader_alive";
  }
  if ((type === "vote_reply" || type === "pre_vote_reply") && message.reject) {
    learnCommit(core, message.commit, message.logTerm);
  }
  if (term > core.term) {
    // A pre-vote, and the reply that grants one, carry a term that no replica has entered.
    const isAhead = type === "pre_vote" || (type === "pre_vote_reply" && !message.reject);
    if (!isAhead) becomeFollower(core, term, isFromLeader(message) ? message.from : NO_REPLICA);
  }
  if (message.boundTicks > 0) {
    // Not a vote: the sender says neither yes nor no to this candidate, whatever its own term.
    askAgainAfter(core, message.boundTicks);
    return "accepted";
  }
  if (term !== 0 && term < core.term) {
    stepOlder(core, message);
    return "older_term";
  }
  switch (type) {
    case "storage_append_reply":
      if (message.index !== 0) core.log.unstable.stableTo(message.index, message.logTerm);
      if (message.snapshot !== undefined) snapshotApplied(core, message.snapshot);
      return "accepted";
    case "storage_apply_reply":
      entriesApplied(core, message.entries);
      return "accepted";
    case "vote":
    case "pre_vote":
      handleVoteRequest(core, message);
      return "accepted";
    default:
      return stepRole(core, message);
  }
}

function isFromLeader({ type }: Message): boolean {
  return type === "append" || type === "heartbeat" || type === "snapshot";
}

function stepOlder(core: Core, message: Message): void {
  const { checkQuorum, preVote } = core.settings;
  switch (message.type) {
    case "append":
    case "heartbeat":
      // Vote requests are ignored while a leader is alive, so a replica whose term ran ahead could
      // never rejoin; this reply tells its leader of the newer term (§4.2.3).
      if (checkQuorum || preVote || core.support !== undefined) {
        core.send(newMessage("append_reply", message.from));
      }
      return;
    case "pre_vote":
      rejectPreVote(core, message);
      return;
    case "storage_append_reply":
      // The entries it made durable may have been replaced since, so it is not evidence for them. A
      // snapshot holds committed entries only, so it remains valid.
      if (message.snapshot !== undefined) snapshotApplied(core, message.snapshot);
      return;
    default:
      return;
  }
}

function stepRole(core: Core, message: Message): StepOutcome {
  switch (core.role) {
    case "leader":
      return stepLeader(core, message);
    case "follower":
      return stepFollower(core, message);
    default:
      return stepCandidate(core, message);
  }
}

/**
 * Handles messages to candidates and pre-candidates; each counts only replies to its own requests.
 */
function stepCandidate(core: Core, message: Message): StepOutcome {
  const { type } = message;
  if (type === "propose" || type === "read_index") return "no_leader";
  if (isFromLeader(message)) {
    becomeFollower(core, message.term, message.from);
    handleLeaderMessage(core, message);
  } else if (type === (core.role === "candidate" ? "vote_reply" : "pre_vote_reply")) {
    const result = countVote(core, message);
    if (result === "won") win(core);
    else if (result === "lost") becomeFollower(core, core.term, NO_REPLICA);
  }
  return "accepted";
}

function win(core: Core): void {
  if (core.role === "pre_candidate") {
    // A pre-vote promises nothing, but the vote for itself must not break a promise made since.
    if (core.isBound) becomeFollower(core, core.term, NO_REPLICA);
    else campaign(core, "vote");
    return;
  }
  becomeLeader(core);
  // The entry that opens the term; once it is committed, all earlier entries are too (§3.6.2,
  // §6.4).
  const opened = appendAsLeader(core, [{ kind: "normal", data: EMPTY_DATA }]);
  assert(opened, "The entry that opens a term is never refused");
  broadcastAppend(core);
}
