/**
 * Leadership transfer: proposals stop, the target's log is brought up to date, and the target is
 * told to campaign at once. Aborted after an election timeout. Source: thesis §3.10.
 */
import type { Core } from "./core.ts";
import { newMessage, NO_REPLICA } from "./message.ts";
import type { Progress } from "./progress.ts";
import { sendAppend } from "./replication.ts";

/** Starts a transfer to `transferee`; it replaces any transfer in progress. */
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
 * Reports whether a lease may serve reads: this replica leads, an entry of its term is committed,
 * and no TimeoutNow was sent in this term. An aborted transfer does not restore the lease: the
 * message may arrive late, and the election it starts is not held back by any support (§3.10,
 * §6.4.1).
 */
export function isLeaseAllowed(core: Core): boolean {
  return core.role === "leader" && core.timeoutNowTerm !== core.term && core.hasCommittedInTerm;
}

/** Tells `member` to campaign if it is the target of the transfer and its log is complete. */
export function continueTransfer(core: Core, member: Progress): void {
  if (member.id !== core.transferee || member.match !== core.log.lastIndex) return;
  sendTimeoutNow(core, member.id);
}

function sendTimeoutNow(core: Core, to: number): void {
  core.timeoutNowTerm = core.term;
  core.send(newMessage("timeout_now", to));
}
