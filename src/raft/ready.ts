/**
 * The work that a core hands out in one batch, and the messages to and from storage that replace it
 * when writes may overlap. Source: etcd-io/raft's Ready and its asynchronous storage writes; thesis
 * §3.8, §10.2.1 (writing to the leader's disk in parallel).
 */
import type { Core, ReadState, ReplicaRole } from "./core.ts";
import type { Entry, HardState, Message, ReadToken, Snapshot } from "./message.ts";
import { APPEND_THREAD, APPLY_THREAD, newMessage } from "./message.ts";

/** The leader known to a replica, and its own role. Not durable. */
export interface SoftState {
  readonly lead: number;
  readonly role: ReplicaRole;
}

/**
 * Work for the owner. With synchronous writes, in this order: write `hardState`, `entries` and
 * `snapshot` (and sync, if `mustSync` or there is a snapshot), then send `messages`; apply
 * `snapshot`, then `committedEntries`; then call `advance`. With asynchronous writes, a
 * `storage_append` message in `messages` repeats the first three, and a `storage_apply` message
 * repeats `committedEntries`; all other messages may be sent at once, and the replies carried by
 * these two are delivered when their work is done.
 */
export interface Ready {
  /** Set only when it changed. */
  readonly softState: SoftState | undefined;
  /** Set only when it changed. Must be durable before `messages` are sent. */
  readonly hardState: HardState | undefined;
  /** Reads that may be served once all entries up to their index are applied. */
  readonly readStates: readonly ReadState[];
  /** Reads that will not be answered: this replica no longer leads. */
  readonly readsDropped: readonly ReadToken[];
  /**
   * Must be durable before `messages` are sent. They replace all entries from the first of them on.
   */
  readonly entries: readonly Entry[];
  /** Must be durable before `messages` are sent. Replaces the whole log and state. */
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  /** In the order in which they must be sent; within one broadcast ascending by recipient. */
  readonly messages: readonly Message[];
  /** Whether the term, the vote or entries are new, so that others may come to rely on them. */
  readonly mustSync: boolean;
}

/** Returns the reply that storage delivers when `ready` is durable; undefined if none is needed. */
export function storageAppendReply(core: Core, ready: Ready): Message | undefined {
  const hasEntries = core.log.unstable.entryCount > 0;
  if (!hasEntries && ready.snapshot === undefined) return undefined;
  const reply = newMessage("storage_append_reply", core.id);
  reply.from = APPEND_THREAD;
  // A reply of an older term is no evidence about entries: they may have been replaced since, by a
  // write still to come, first by others and then by themselves again. So each reply covers the
  // whole unstable log at this moment, including the reply of a mere change of term; otherwise the
  // last entries of the older term would stay in memory until the next proposal.
  reply.term = core.term;
  if (hasEntries) {
    reply.index = core.log.lastIndex;
    reply.logTerm = core.log.lastTerm;
  }
  reply.snapshot = ready.snapshot;
  return reply;
}

/**
 * Returns the reply that the state machine delivers for the committed entries; undefined if none is
 * needed.
 */
export function storageApplyReply(core: Core, entries: readonly Entry[]): Message | undefined {
  if (entries.length === 0) return undefined;
  const reply = newMessage("storage_apply_reply", core.id);
  reply.from = APPLY_THREAD;
  reply.entries = entries;
  return reply;
}

/** Returns the request to write the contents of `ready`, with the replies that wait for it. */
export function storageAppend(core: Core, ready: Ready): Message | undefined {
  const waiting = core.messagesAfterAppend;
  const { entries, hardState, snapshot } = ready;
  if (
    entries.length === 0 && hardState === undefined && snapshot === undefined &&
    waiting.length === 0
  ) return undefined;
  const message = newMessage("storage_append", APPEND_THREAD);
  message.from = core.id;
  message.entries = entries;
  if (hardState !== undefined) {
    message.term = hardState.term;
    message.vote = hardState.vote;
    message.commit = hardState.commit;
  }
  message.snapshot = snapshot;
  const reply = storageAppendReply(core, ready);
  // The core begins a new list with each Ready; an empty one is shared by all.
  if (waiting.length > 0) {
    message.responses = waiting;
    if (reply !== undefined) waiting.push(reply);
  } else if (reply !== undefined) {
    message.responses = [reply];
  }
  return message;
}

/** Returns the request to apply the committed entries of `ready`. */
export function storageApply(core: Core, ready: Ready): Message | undefined {
  const reply = storageApplyReply(core, ready.committedEntries);
  if (reply === undefined) return undefined;
  const message = newMessage("storage_apply", APPLY_THREAD);
  message.from = core.id;
  message.entries = ready.committedEntries;
  message.responses = [reply];
  return message;
}
