/**
 * Validation of a message from outside before it takes effect. An impossible message is refused
 * with a code, without a change of state. A message that passes may still be outdated or redundant.
 *
 * Every refusal here is a fault of the sender or of the network; faults of this replica are
 * asserted at the place where they would show. Source: bad input as in ARCHITECTURE.md;
 * etcd-io/raft checks little of this.
 */
import { RegistryError } from "../base/errors.ts";
import { RAFT_FIRST_TERM_MAX, RAFT_TERM_AHEAD_MAX } from "../base/limits.ts";
import { confChangeOf } from "./conf_change.ts";
import type { Core } from "./core.ts";
import { configurationFault } from "./membership.ts";
import type { Entry, Message } from "./message.ts";
import { isReply, isStorageMessage, isStorageThread } from "./message.ts";

/** The reason for which a message is refused. */
export type InspectRefusal =
  /** The message passes only between a replica and its own storage. */
  | "local_message"
  /** The message is addressed to another replica. */
  | "misdirected"
  /** A reply from a replica that is not a member, or any message from one that never was. */
  | "unknown_peer"
  /** The fields contradict each other. */
  | "malformed"
  /** The term is so far ahead that no election can have led to it. */
  | "term_too_far"
  /**
   * The message names an index that this replica cannot have sent, or that it must hold and does
   * not.
   */
  | "impossible_index";

/** Returns the reason to refuse `message`, or undefined if it may be handled. */
export function inspect(core: Core, message: Message): InspectRefusal | undefined {
  const { from, to, type } = message;
  if (to !== core.id) return "misdirected";
  if (from === core.id || isStorageThread(from) || isStorageMessage(type)) return "local_message";
  if (!Number.isSafeInteger(from) || from < 1) return "malformed";
  const { directory } = core.settings;
  if (directory !== undefined && !directory.knows(from)) return "unknown_peer";
  if (isReply(type) && core.member(from) === undefined) return "unknown_peer";
  if (isTooFar(core.term, message.term)) return "term_too_far";
  return inspectNumbers(message) ?? inspectFields(core, message);
}

/**
 * Reports whether no election can have led from `term` to `next`. A term near 2^53 would be the last
 * one: no replica that adopted it could ever campaign again. Nor may few steps lead there.
 */
function isTooFar(term: number, next: number): boolean {
  return next > (term === 0 ? RAFT_FIRST_TERM_MAX : term + RAFT_TERM_AHEAD_MAX);
}

/** Reports whether `message` is a reply that this replica's own storage may deliver. */
export function isOwnAnswer(core: Core, { from, to, type }: Message): boolean {
  if (to !== core.id) return false;
  if (isStorageThread(from)) {
    return type === "storage_append_reply" || type === "storage_apply_reply";
  }
  return from === core.id &&
    (type === "append_reply" || type === "vote_reply" || type === "pre_vote_reply");
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function inspectNumbers(message: Message): InspectRefusal | undefined {
  const { boundTicks, commit, index, logTerm, reject, rejectHint, term, type } = message;
  if (!isCount(term) || !isCount(logTerm) || !isCount(index)) return "malformed";
  if (!isCount(commit) || !isCount(rejectHint) || !isCount(boundTicks)) return "malformed";
  if (boundTicks > 0 && !(type === "pre_vote_reply" && reject)) return "malformed";
  if (type === "propose" || type === "read_index") return term === 0 ? undefined : "malformed";
  // A replica that never entered a term may still refuse a pre-vote.
  if (term === 0 && !(type === "pre_vote_reply" && reject)) return "malformed";
  return undefined;
}

function inspectFields(core: Core, message: Message): InspectRefusal | undefined {
  switch (message.type) {
    case "propose":
      return areProposals(message.entries) ? undefined : "malformed";
    case "append":
      return areEntries(message) ? undefined : "malformed";
    case "vote":
    case "pre_vote":
      return message.commit <= message.index ? undefined : "malformed";
    case "append_reply":
      return isOfThisTerm(core, message) && core.role === "leader" && !message.reject &&
          message.index > core.log.lastIndex
        ? "impossible_index"
        : undefined;
    case "heartbeat":
      // A leader never sends a commit index above what this replica acknowledged to it. If it does,
      // the acknowledged entries are lost.
      return message.term >= core.term && message.commit > core.log.lastIndex
        ? "impossible_index"
        : undefined;
    case "snapshot":
      return isSnapshot(message) ? undefined : "malformed";
    case "read_index":
    case "read_index_reply":
      return message.read !== undefined && message.read.sequence >= 1 ? undefined : "malformed";
    case "transfer_leader":
      return message.transferee >= 1 ? undefined : "malformed";
    default:
      return undefined;
  }
}

function isOfThisTerm(core: Core, message: Message): boolean {
  return message.term === core.term;
}

/**
 * Reports whether entries follow each other without a gap, and their terms neither decrease nor
 * exceed the sender's.
 */
function areEntries({ entries, index, logTerm, term }: Message): boolean {
  let previous = logTerm;
  if (logTerm > term) return false;
  for (let at = 0; at < entries.length; at++) {
    const entry = entries[at]!;
    if (entry.index !== index + at + 1 || !isCount(entry.term) || entry.term === 0) return false;
    if (entry.term < previous || entry.term > term) return false;
    previous = entry.term;
  }
  return true;
}

function areProposals(entries: readonly Entry[]): boolean {
  return entries.length > 0 && entries.every(isConfChangeReadable);
}

function isConfChangeReadable(entry: Entry): boolean {
  if (entry.kind === "normal") return true;
  try {
    confChangeOf(entry);
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}

function isSnapshot({ snapshot, term }: Message): boolean {
  return snapshot !== undefined && isCount(snapshot.index) && snapshot.index > 0 &&
    isCount(snapshot.term) && snapshot.term > 0 &&
    snapshot.term <= term && configurationFault(snapshot.configuration) === undefined;
}
