/**
 * Elections: when a replica campaigns, how it requests votes, when it votes, and how votes are
 * counted.
 *
 * A vote, the replica's own included, counts only when it is durable (`messagesAfterAppend`). A
 * replica that heard from a leader recently, or promised to follow one, neither votes nor
 * campaigns, unless the leader itself asked for the election. Sources: thesis §3.4, §3.6.1 (the
 * vote), §4.2.3 (disruptive servers), §9.6 (pre-vote), §3.10 (transfer).
 */
import type { Core } from "./core.ts";
import type { Message } from "./message.ts";
import { newMessage, NO_REPLICA } from "./message.ts";
import type { VoteResult } from "./quorum.ts";
import { allVoters, voteResult } from "./quorum.ts";
import { becomeCandidate, becomeFollower, becomePreCandidate } from "./roles.ts";

/** The kind of an election campaign. */
export type CampaignKind = "pre_vote" | "vote" | "transfer";

/** The outcome of a request to campaign. */
export type CampaignResult =
  | "accepted"
  | "already_leader"
  | "not_promotable"
  | "conf_change_unapplied"
  | "leader_supported";

/**
 * Starts an election if this replica may. The campaign begins with a pre-vote if that is enabled,
 * except for a `transfer`: the leader of this term asked for it, so no promise to that leader
 * prevents it, and that leader holds no lease.
 */
export function hup(core: Core, kind: "timeout" | "transfer"): CampaignResult {
  if (core.role === "leader") return "already_leader";
  if (!core.isPromotable) return "not_promotable";
  // With a configuration change still to be applied, it would ask the wrong voters.
  if (core.log.applied < core.log.committed && core.log.hasUnappliedConfChange()) {
    return "conf_change_unapplied";
  }
  if (kind === "transfer") campaign(core, "transfer");
  else if (core.isBound) return "leader_supported";
  else campaign(core, core.settings.preVote ? "pre_vote" : "vote");
  return "accepted";
}

/** Requests the vote of every voter, itself included. */
export function campaign(core: Core, kind: CampaignKind): void {
  const isPre = kind === "pre_vote";
  if (isPre) becomePreCandidate(core);
  else becomeCandidate(core);
  // A pre-vote asks about the next term without entering it.
  const term = isPre ? core.term + 1 : core.term;
  const { lastIndex, lastTerm, committed } = core.log;
  const commitTerm = core.log.term(committed) ?? 0;
  for (const id of allVoters(core.configuration)) {
    if (id === core.id) {
      core.sendForElection(newMessage(isPre ? "pre_vote_reply" : "vote_reply", id), term);
      continue;
    }
    const message = newMessage(isPre ? "pre_vote" : "vote", id);
    message.index = lastIndex;
    message.logTerm = lastTerm;
    message.commit = committed;
    message.rejectHint = commitTerm;
    message.transfer = kind === "transfer";
    core.sendForElection(message, term);
  }
}

/** Handles one tick of a replica that does not lead. */
export function tickElection(core: Core): void {
  core.electionElapsed++;
  if (core.electionElapsed < core.electionTimeoutTicks || !core.isPromotable) return;
  core.electionElapsed = 0;
  hup(core, "timeout");
}

/**
 * Reports whether a vote request of this or a later term is ignored: because node liveness binds
 * this replica, or, without node liveness, because it heard from a leader within the election
 * timeout.
 */
export function ignoresVoteRequest(core: Core, message: Message): boolean {
  if (message.transfer) return false;
  // In a sleeping group no tick measures how long ago the leader was heard from, so support alone
  // decides. It applies in the current term as well: a promise outlives the term in which it was
  // made.
  if (core.support !== undefined) return core.isBound;
  return message.term > core.term && core.lead !== NO_REPLICA && core.settings.checkQuorum &&
    core.electionElapsed < core.settings.electionTicks;
}

/**
 * Tells a pre-candidate when this bound replica may vote, so that it asks again then. Otherwise it
 * would wait for its next election timeout, although most voters are bound for a moment longer.
 */
export function postponePreVote(core: Core, candidate: number): void {
  const boundTicks = core.support?.boundTicks?.(core.lead, core.term) ?? 0;
  // The only voter is bound as long as it leads, so there is no time to name.
  if (boundTicks === 0 || boundTicks === Infinity) return;
  const reply = newMessage("pre_vote_reply", candidate);
  reply.reject = true;
  reply.boundTicks = boundTicks;
  core.sendForElection(reply, core.term);
}

/** Asks a bound voter again when it may vote; never later than without its reply. */
export function askAgainAfter(core: Core, ticks: number): void {
  if (core.role === "leader" || core.role === "candidate" || core.lead !== NO_REPLICA) return;
  core.electionElapsed = Math.max(core.electionElapsed, core.electionTimeoutTicks - ticks);
}

/**
 * Replies to a vote request of this term (or, for a pre-vote, of this or a later one). The request tells the
 * candidate's commit index: a learner that the candidate knows as a voter may have the longer log, so that
 * it alone can be elected, and not know that it votes.
 */
export function handleVoteRequest(core: Core, message: Message): void {
  learnCommit(core, message.commit, message.rejectHint);
  const isPre = message.type === "pre_vote";
  const mayVote = core.vote === message.from ||
    (core.vote === NO_REPLICA && core.lead === NO_REPLICA) ||
    (isPre && message.term > core.term);
  const reply = newMessage(isPre ? "pre_vote_reply" : "vote_reply", message.from);
  // Learners vote too: a learner that is asked was made a voter and has not learned of it yet.
  if (mayVote && core.log.isUpToDate(message.index, message.logTerm)) {
    // The reply carries the term of the request; for a pre-vote, this replica has not entered that
    // term.
    core.sendForElection(reply, message.term);
    if (isPre) return;
    core.electionElapsed = 0;
    core.castVote(message.from);
  } else {
    refuseVote(core, reply);
  }
}

/** Refuses a pre-vote of an older term, so that the candidate learns of the newer one. */
export function rejectPreVote(core: Core, message: Message): void {
  refuseVote(core, newMessage("pre_vote_reply", message.from));
}

/**
 * Refuses a vote and reports the commit index with its term. The candidate may hold that entry
 * without knowing that it is committed, and wait for a vote that it does not need: a leader that
 * was removed may have been the only replica that knew.
 */
function refuseVote(core: Core, reply: Message): void {
  reply.reject = true;
  reply.commit = core.log.committed;
  reply.logTerm = core.log.term(reply.commit) ?? 0;
  core.sendForElection(reply, core.term);
}

/**
 * Takes over the commit index of another replica, if this log holds the same entry (§3.5, log matching). If
 * a configuration change gets committed by that, a campaign asked the wrong voters and ends.
 */
export function learnCommit(core: Core, commit: number, commitTerm: number): void {
  if (core.role === "leader" || !core.log.maybeCommit(commit, commitTerm)) return;
  if (core.role !== "follower" && core.log.hasUnappliedConfChange()) {
    becomeFollower(core, core.term, NO_REPLICA);
  }
}

/** Counts a reply; a second reply of the same replica changes nothing. */
export function countVote(core: Core, message: Message): VoteResult {
  const votes = core.votes ??= new Map();
  if (!votes.has(message.from)) votes.set(message.from, !message.reject);
  return voteResult(core.configuration, (id) => votes.get(id));
}
