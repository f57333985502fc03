/**
 * Role changes. Each resets the state of the previous role: timers, votes, the progress of others,
 * a transfer, unconfirmed reads. Source: thesis Figure 3.3.
 */
import { assert } from "../base/assert.ts";
import type { Core } from "./core.ts";
import { NO_REPLICA } from "./message.ts";

function reset(core: Core, term: number): void {
  core.enterTerm(term);
  core.lead = NO_REPLICA;
  core.electionElapsed = 0;
  core.heartbeatElapsed = 0;
  drawElectionTimeout(core);
  core.transferee = NO_REPLICA;
  core.votes = undefined;
  const last = core.log.lastIndex;
  for (const member of core.progress) {
    member.reset(last + 1, member.id === core.id ? last : 0);
  }
  core.pendingConfIndex = 0;
  core.uncommittedBytes = 0;
  dropReads(core);
}

/** Draws a random election timeout, so that replicas rarely campaign at the same time (§3.4). */
function drawElectionTimeout(core: Core): void {
  const { electionTicks, entropy } = core.settings;
  core.electionTimeoutTicks = electionTicks + Math.floor(entropy.unit() * electionTicks);
}

/** Drops the reads of a leader that no longer leads; reads of other replicas time out there. */
function dropReads(core: Core): void {
  const { reads } = core;
  if (reads === undefined) return;
  core.reads = undefined;
  for (const { requester, token } of [...reads.confirming, ...reads.waiting]) {
    if (requester === core.id) core.readsDropped.push(token);
  }
}

/** Becomes a follower of `lead` (or of nobody yet) in `term`. */
export function becomeFollower(core: Core, term: number, lead: number): void {
  reset(core, term);
  core.lead = lead;
  core.role = "follower";
}

/** Becomes a candidate in the next term, with a vote for itself. */
export function becomeCandidate(core: Core): void {
  assert(core.role !== "leader", "A leader does not campaign");
  reset(core, core.term + 1);
  core.castVote(core.id);
  core.role = "candidate";
}

/** Becomes a pre-candidate, with term and vote unchanged (§9.6). */
export function becomePreCandidate(core: Core): void {
  assert(core.role !== "leader", "A leader does not campaign");
  core.votes = undefined;
  core.lead = NO_REPLICA;
  core.role = "pre_candidate";
}

/** Becomes the leader of this term. The caller appends the entry that opens it. */
export function becomeLeader(core: Core): void {
  assert(core.role === "candidate", `A ${core.role} cannot become leader`);
  reset(core, core.term);
  core.lead = core.id;
  core.role = "leader";
  const self = core.member(core.id);
  assert(self !== undefined, "A new leader must be a member");
  self.becomeReplicate();
  self.recentActive = true;
  // The log may end with a configuration change that is not applied. Instead of searching for it,
  // no further change is proposed until the whole log is applied.
  core.pendingConfIndex = core.log.lastIndex;
}
