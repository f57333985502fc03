/**
 * The words of the protocol: entries, configurations, snapshots, hard state and messages.
 *
 * Terms, indexes and replica ids are plain numbers in this room, for it counts with them all the
 * time; whoever decodes bytes checks their bounds once (`src/base/ids.ts`). A message, an entry and
 * a snapshot are never changed after they left the core, so that they may be shared.
 * Source: Ongaro, thesis, Figure 3.1 and §3.8; the kinds of message follow etcd-io/raft.
 */

/** Stands for "no replica": nobody was voted for, no leader is known. */
export const NO_REPLICA = 0;
/** The recipient of `storage_append`: whoever writes log and hard state. Never on the wire. */
export const APPEND_THREAD = -1;
/** The recipient of `storage_apply`: whoever applies committed entries. Never on the wire. */
export const APPLY_THREAD = -2;

/** What an entry holds. `conf_change_v1` is one change without joint consensus (thesis §4.1). */
export type EntryKind = "normal" | "conf_change_v1" | "conf_change";

/** One position of the log. */
export interface Entry {
  readonly term: number;
  readonly index: number;
  readonly kind: EntryKind;
  /** Opaque; empty for the entry that opens a term. Nobody changes these bytes. */
  readonly data: Uint8Array;
}

/** The data of an entry that has none. */
export const EMPTY_DATA: Uint8Array = new Uint8Array(0);

/**
 * Who belongs to the group. Joint while `votersOutgoing` is not empty: then both majorities decide
 * (thesis §4.3). All lists ascend.
 */
export interface Configuration {
  readonly voters: readonly number[];
  /** The voters before the change under way; empty outside of joint consensus. */
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[];
  /** Whether the leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** The configuration of a replica that was told nothing yet. */
export const EMPTY_CONFIGURATION: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** All that stands in place of the log up to and including `index`. */
export interface Snapshot {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
  /** Opaque: the image, or where it is found. */
  readonly data: Uint8Array;
}

/** What must be on disk before anything that rests on it is said (Figure 3.1, persistent state). */
export interface HardState {
  readonly term: number;
  /** Whom this replica voted for in `term`, or {@link NO_REPLICA}. */
  readonly vote: number;
  /** Not needed for safety; kept so that a restart applies at once what was committed. */
  readonly commit: number;
}

/** The hard state of a replica that never ran. */
export const EMPTY_HARD_STATE: HardState = { term: 0, vote: NO_REPLICA, commit: 0 };

/** Between replicas; the last four between a replica and its own storage. */
export type MessageType =
  | "propose"
  | "append"
  | "append_reply"
  | "vote"
  | "vote_reply"
  | "pre_vote"
  | "pre_vote_reply"
  | "heartbeat"
  | "heartbeat_reply"
  | "snapshot"
  | "timeout_now"
  | "transfer_leader"
  | "read_index"
  | "read_index_reply"
  | "storage_append"
  | "storage_append_reply"
  | "storage_apply"
  | "storage_apply_reply";

/**
 * Names one round of reads, or one request to the leader.
 *
 * On heartbeats the leader issues it: (its term, a number that only grows within the term), so that
 * no client can make two rounds look alike. On `read_index` the asking replica issues it: (a random
 * number of this run, a number that only grows), so that an answer to an earlier run of the same
 * replica answers nothing.
 */
export interface ReadToken {
  readonly origin: number;
  readonly sequence: number;
}

/** One message. A field that its type does not use holds 0, false, an empty list or undefined. */
export interface Message {
  readonly type: MessageType;
  readonly to: number;
  from: number;
  /** 0 on what belongs to no term: `propose`, `read_index`, and local messages. */
  term: number;
  /** Term of the entry at `index`; of a refused append, of the entry at `rejectHint`. */
  logTerm: number;
  /** Append: the entry before `entries`. Vote: the candidate's last. Reply: the last that matches. */
  index: number;
  /** The sender's commit index; on a heartbeat, no more than the recipient is known to hold. */
  commit: number;
  /** Only on `storage_append`: the vote to be written. */
  vote: number;
  reject: boolean;
  /** Where the follower guesses that the logs match. */
  rejectHint: number;
  entries: readonly Entry[];
  snapshot: Snapshot | undefined;
  /** Local messages only: to be delivered after the work is durable, in order. */
  responses: readonly Message[];
  read: ReadToken | undefined;
  /** On `vote`: the leader itself asked for this election, so that no lease stands against it. */
  transfer: boolean;
  /** On `transfer_leader`: who is to lead. */
  transferee: number;
}

const NO_ENTRIES: readonly Entry[] = [];
const NO_MESSAGES: readonly Message[] = [];

/** A message of which only type and recipient are set. */
export function newMessage(type: MessageType, to: number): Message {
  return {
    type,
    to,
    from: NO_REPLICA,
    term: 0,
    logTerm: 0,
    index: 0,
    commit: 0,
    vote: NO_REPLICA,
    reject: false,
    rejectHint: 0,
    entries: NO_ENTRIES,
    snapshot: undefined,
    responses: NO_MESSAGES,
    read: undefined,
    transfer: false,
    transferee: NO_REPLICA,
  };
}

/** True for the two recipients that stand for this replica's own storage. */
export function isStorageThread(id: number): boolean {
  return id === APPEND_THREAD || id === APPLY_THREAD;
}

/** True for what answers a request, and so is believed only from a member. */
export function isReply(type: MessageType): boolean {
  switch (type) {
    case "append_reply":
    case "vote_reply":
    case "pre_vote_reply":
    case "heartbeat_reply":
    case "read_index_reply":
    case "storage_append_reply":
    case "storage_apply_reply":
      return true;
    default:
      return false;
  }
}

/** True for what passes between a replica and its own storage. */
export function isStorageMessage(type: MessageType): boolean {
  return type === "storage_append" || type === "storage_append_reply" ||
    type === "storage_apply" || type === "storage_apply_reply";
}

/** True where all three fields are alike. */
export function hardStatesEqual(left: HardState, right: HardState): boolean {
  return left.term === right.term && left.vote === right.vote && left.commit === right.commit;
}

/** Bytes that an entry costs beside its data, on the wire and in the log: term, index, kind, frame. */
export const ENTRY_OVERHEAD_BYTES = 24;

/** Bytes of an entry as limits count them. */
export function entryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + entry.data.length;
}

/** The same of many. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}

/** Bytes of data alone: an empty entry counts nothing, so that one is never refused for its size. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.length;
  return bytes;
}

/** How many entries from the start fit into `bytesMax`: at least one, if there is one. */
export function countWithin(entries: readonly Entry[], bytesMax: number): number {
  let bytes = 0;
  for (let count = 0; count < entries.length; count++) {
    bytes += entryBytes(entries[count]!);
    if (bytes > bytesMax && count > 0) return count;
  }
  return entries.length;
}
