/**
 * Handing leadership over: proposals stop, the log of the one to lead is brought up to date, and it
 * is told to campaign at once. Given up after an election timeout. Source: thesis §3.10.
 */
import type { Core } from "./core.ts";
import { newMessage, NO_REPLICA } from "./message.ts";
import type { Progress } from "./progress.ts";
import { sendAppend } from "./replication.ts";

/** Begins to hand over to `transferee`; another transfer under way is given up for it. */
export function transferLeadership(core: Core, transferee: number): void {
  const member = core.member(transferee);
  if (member === undefined || member.isLearner || core.transferee === transferee) return;
  core.transferee = NO_REPLICA;
  if (transferee === core.id) return;
  core.transferee = transferee;
  core.electionElapsed = 0;
  if (member.match === core.log.lastIndex) sendTimeoutNow(core, transferee);
  else sendAppend(core, member, true);
}

/**
 * Whether a lease may serve reads: this replica leads, an entry of its term is committed, and nobody
 * was told to campaign in this term. An aborted transfer does not give the lease back: the message
 * may arrive late, and the election it starts is one that no support stands against (§3.10, §6.4.1).
 */
export function isLeaseAllowed(core: Core): boolean {
  return core.role === "leader" && core.timeoutNowTerm !== core.term && core.hasCommittedInTerm;
}

/** Tells the one to lead to campaign, if `member` is the one and its log is complete now. */
export function continueTransfer(core: Core, member: Progress): void {
  if (member.id !== core.transferee || member.match !== core.log.lastIndex) return;
  sendTimeoutNow(core, member.id);
}

function sendTimeoutNow(core: Core, to: number): void {
  core.timeoutNowTerm = core.term;
  core.send(newMessage("timeout_now", to));
}
