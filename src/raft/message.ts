/**
 * The types of the protocol: entries, configurations, snapshots, hard state and messages.
 *
 * Terms, indexes and replica ids are plain numbers in this folder, because it computes with them
 * throughout; decoders check their bounds once (`src/base/ids.ts`). Messages, entries and snapshots
 * are never changed after they left the core, so they may be shared. Source: Ongaro, thesis, Figure
 * 3.1 and §3.8; the message types follow etcd-io/raft.
 */

/** The id that stands for no replica: no vote was cast, or no leader is known. */
export const NO_REPLICA = 0;
/** The recipient of `storage_append`: the writer of log and hard state. Never on the wire. */
export const APPEND_THREAD = -1;
/** The recipient of `storage_apply`: the applier of committed entries. Never on the wire. */
export const APPLY_THREAD = -2;

/** The kind of an entry. `conf_change_v1` is one change without joint consensus (thesis §4.1). */
export type EntryKind = "normal" | "conf_change_v1" | "conf_change";

/** One entry of the log. */
export interface Entry {
  readonly term: number;
  readonly index: number;
  readonly kind: EntryKind;
  /** Opaque bytes; empty for the entry that opens a term. Must not be modified. */
  readonly data: Uint8Array;
}

/** The data of an entry without data. */
export const EMPTY_DATA: Uint8Array = new Uint8Array(0);

/**
 * The members of a group. The configuration is joint while `votersOutgoing` is not empty; decisions
 * then need a majority of both halves (thesis §4.3). All lists are in ascending order.
 */
export interface Configuration {
  readonly voters: readonly number[];
  /** The voters before the change in progress; empty outside of joint consensus. */
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[];
  /** Whether the leader leaves the joint configuration automatically. */
  readonly autoLeave: boolean;
}

/** The configuration of a replica that has not received one yet. */
export const EMPTY_CONFIGURATION: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** A snapshot, which replaces the log up to and including `index`. */
export interface Snapshot {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
  /** Opaque bytes: the image, or a reference to it. */
  readonly data: Uint8Array;
}

/**
 * The state that must be durable before any message that depends on it is sent (Figure 3.1,
 * persistent state).
 */
export interface HardState {
  readonly term: number;
  /** The replica voted for in `term`, or {@link NO_REPLICA}. */
  readonly vote: number;
  /**
   * The commit index. Not needed for safety; kept so that a restart can apply committed entries at
   * once.
   */
  readonly commit: number;
}

/** The hard state of a replica that never ran. */
export const EMPTY_HARD_STATE: HardState = { term: 0, vote: NO_REPLICA, commit: 0 };

/** The type of a message. The last four pass only between a replica and its own storage. */
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
 * The identifier of one round of reads, or of one read request to the leader.
 *
 * On heartbeats the leader issues it: (its term, a number that only grows within the term), so no
 * client can make two rounds look alike. On `read_index` the requesting replica issues it: (a
 * random number of this run, a number that only grows), so a reply to an earlier run of the same
 * replica is not taken for a reply to this one.
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
  /**
   * The sender's term; 0 on messages without a term: `propose`, `read_index` and local messages.
   */
  term: number;
  /** Term of the entry at `index`; on a rejected append, of the entry at `rejectHint`. */
  logTerm: number;
  /**
   * On an append, the entry before `entries`; on a vote request, the candidate's last entry; on a
   * reply, the last entry known to match.
   */
  index: number;
  /**
   * The sender's commit index; on a heartbeat, capped to what the recipient is known to hold. Its term is
   * `rejectHint` on a vote request, and `logTerm` on a refused vote.
   */
  commit: number;
  /** The vote to write; only on `storage_append`. */
  vote: number;
  reject: boolean;
  /** The follower's guess of the index at which the logs match; on a vote request, the term of `commit`. */
  rejectHint: number;
  entries: readonly Entry[];
  snapshot: Snapshot | undefined;
  /** Local messages only: the replies to deliver, in order, after the work is durable. */
  responses: readonly Message[];
  read: ReadToken | undefined;
  /** On `vote`: the leader itself asked for this election, so no lease prevents it. */
  transfer: boolean;
  /** On `transfer_leader`: the replica to become leader. */
  transferee: number;
  /** On a refused pre-vote: the ticks until node liveness lets the sender vote; 0 if it does now. */
  boundTicks: number;
}

const NO_ENTRIES: readonly Entry[] = [];
const NO_MESSAGES: readonly Message[] = [];

/** Creates a message with only its type and recipient set. */
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
    boundTicks: 0,
  };
}

/** Reports whether `id` stands for this replica's own storage. */
export function isStorageThread(id: number): boolean {
  return id === APPEND_THREAD || id === APPLY_THREAD;
}

/** Reports whether messages of `type` are replies, which are accepted only from members. */
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

/** Reports whether messages of `type` pass between a replica and its own storage. */
export function isStorageMessage(type: MessageType): boolean {
  return type === "storage_append" || type === "storage_append_reply" ||
    type === "storage_apply" || type === "storage_apply_reply";
}

/** Reports whether two hard states are equal in all three fields. */
export function hardStatesEqual(left: HardState, right: HardState): boolean {
  return left.term === right.term && left.vote === right.vote && left.commit === right.commit;
}

/**
 * Size in bytes that an entry adds to its data, on the wire and in the log: term, index, kind and
 * framing.
 */
export const ENTRY_OVERHEAD_BYTES = 24;

/** Returns the size of an entry in bytes, as limits count it. */
export function entryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + entry.data.length;
}

/** Returns the total size of `entries` in bytes, as limits count it. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}

/**
 * Returns the size of the data alone. An empty entry counts 0, so it is never refused for its size.
 */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.length;
  return bytes;
}

/** Returns how many entries from the start fit into `bytesMax`: at least one if there is any. */
export function countWithin(entries: readonly Entry[], bytesMax: number): number {
  let bytes = 0;
  for (let count = 0; count < entries.length; count++) {
    bytes += entryBytes(entries[count]!);
    if (bytes > bytesMax && count > 0) return count;
  }
  return entries.length;
}
