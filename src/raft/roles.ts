/**
 * The changes of role. Each resets what belongs to the role that ends: timers, votes, the progress
 * of others, a transfer, reads that were not confirmed. Source: thesis Figure 3.3.
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

/** Randomized, so that replicas rarely campaign at once (§3.4). */
function drawElectionTimeout(core: Core): void {
  const { electionTicks, entropy } = core.settings;
  core.electionTimeoutTicks = electionTicks + Math.floor(entropy.unit() * electionTicks);
}

/** Reads of a leader that no longer leads; those of others time out where they were asked. */
function dropReads(core: Core): void {
  const { reads } = core;
  if (reads === undefined) return;
  core.reads = undefined;
  for (const { requester, token } of [...reads.confirming, ...reads.waiting]) {
    if (requester === core.id) core.readsDropped.push(token);
  }
}

/** Follows `lead` (or nobody yet) in `term`. */
export function becomeFollower(core: Core, term: number, lead: number): void {
  reset(core, term);
  core.lead = lead;
  core.role = "follower";
}

/** Asks for votes in the next term, beginning with its own. */
export function becomeCandidate(core: Core): void {
  assert(core.role !== "leader", "A leader does not campaign");
  reset(core, core.term + 1);
  core.castVote(core.id);
  core.role = "candidate";
}

/** Asks whether it would win, with term and vote as they are (§9.6). */
export function becomePreCandidate(core: Core): void {
  assert(core.role !== "leader", "A leader does not campaign");
  core.votes = undefined;
  core.lead = NO_REPLICA;
  core.role = "pre_candidate";
}

/** Leads this term. The caller appends the entry that opens it. */
export function becomeLeader(core: Core): void {
  assert(core.role === "candidate", `A ${core.role} cannot become leader`);
  reset(core, core.term);
  core.lead = core.id;
  core.role = "leader";
  const self = core.member(core.id);
  assert(self !== undefined, "A leader is a member when it begins to lead");
  self.becomeReplicate();
  self.recentActive = true;
  // The log may end with a change of the configuration that is not applied; rather than look, no
  // other is proposed until all of it is.
  core.pendingConfIndex = core.log.lastIndex;
}
