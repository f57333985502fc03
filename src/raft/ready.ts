/**
 * What a core wants done, all at once, and the messages to and from storage that replace it when
 * writes may overlap. Source: etcd-io/raft's Ready and its asynchronous storage writes; thesis §3.8,
 * §10.2.1 (writing to the leader's disk in parallel).
 */
import type { Core, ReadState, Role } from "./core.ts";
import type { Entry, HardState, Message, ReadToken, Snapshot } from "./message.ts";
import { APPEND_THREAD, APPLY_THREAD, newMessage } from "./message.ts";

/** Who leads, as this replica knows, and what it is itself. Not durable. */
export interface SoftState {
  readonly lead: number;
  readonly role: Role;
}

/**
 * Work for the owner. With plain writes, in this order: write `hardState`, `entries` and `snapshot`
 * (and sync, if `mustSync` or there is a snapshot), then send `messages`; apply `snapshot`, then
 * `committedEntries`; then `advance`. With asynchronous writes the first three are told again by a
 * `storage_append` among `messages`, and `committedEntries` by a `storage_apply`; everything else in
 * `messages` may be sent at once, and each answer that these two carry is delivered when its work is
 * done.
 */
export interface Ready {
  /** Only when it changed. */
  readonly softState: SoftState | undefined;
  /** Only when it changed. Durable before `messages` are sent. */
  readonly hardState: HardState | undefined;
  /** Reads that may be served once all up to their index is applied. */
  readonly readStates: readonly ReadState[];
  /** Reads that will get no answer: this replica no longer leads. */
  readonly readsDropped: readonly ReadToken[];
  /** Durable before `messages` are sent; they replace all from the first of them on. */
  readonly entries: readonly Entry[];
  /** Durable before `messages` are sent; in place of the whole log and state. */
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  /** Ascending by recipient within one broadcast; in the order in which they must be sent. */
  readonly messages: readonly Message[];
  /** Whether term, vote or entries are new: what others may come to rely on. */
  readonly mustSync: boolean;
}

/** What storage must report about `ready` when it is durable; undefined: nothing. */
export function storageAppendReply(core: Core, ready: Ready): Message | undefined {
  const hasEntries = core.log.unstable.entryCount > 0;
  if (!hasEntries && ready.snapshot === undefined) return undefined;
  const reply = newMessage("storage_append_reply", core.id);
  reply.from = APPEND_THREAD;
  // A reply of an older term is not believed about entries: in between they may have been replaced,
  // by a write that is still to come, with others and then with themselves again. So each reply
  // vouches for the whole unstable log as it is now, that of a mere change of term too; or the last
  // entries of the older term would stay in memory until the next proposal.
  reply.term = core.term;
  if (hasEntries) {
    reply.index = core.log.lastIndex;
    reply.logTerm = core.log.lastTerm;
  }
  reply.snapshot = ready.snapshot;
  return reply;
}

/** What the state machine must report about the committed entries; undefined: nothing. */
export function storageApplyReply(core: Core, entries: readonly Entry[]): Message | undefined {
  if (entries.length === 0) return undefined;
  const reply = newMessage("storage_apply_reply", core.id);
  reply.from = APPLY_THREAD;
  reply.entries = entries;
  return reply;
}

/** The order to write what `ready` holds, with the answers that wait for it. */
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
  message.responses = reply === undefined ? waiting.slice() : [...waiting, reply];
  return message;
}

/** The order to apply what `ready` holds. */
export function storageApply(core: Core, ready: Ready): Message | undefined {
  const reply = storageApplyReply(core, ready.committedEntries);
  if (reply === undefined) return undefined;
  const message = newMessage("storage_apply", APPLY_THREAD);
  message.from = core.id;
  message.entries = ready.committedEntries;
  message.responses = [reply];
  return message;
}
