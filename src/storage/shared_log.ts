/**
 * The shared log as its owner sees it: one durable log for all groups of a node, with images.
 *
 * Contract: whatever was acknowledged is there after any crash; nothing is acknowledged before it
 * and everything submitted before it is on the disk. Callbacks, no promises; every callback comes
 * in a later turn than the call it answers. Source: design of the log record, watermarks and
 * recovery in ARCHITECTURE.md; the duties of order follow the Raft thesis §3.8 and §11.7.3
 * (entries, term and vote are durable before they are spoken of).
 *
 * `openSharedLog` in `open_shared_log.ts` makes one.
 */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import type { Entropy, MonotonicClock, Scheduler } from "../base/world.ts";
import type { Storage } from "./storage.ts";

/** What a group must not forget besides its entries (Raft thesis figure 3.1). */
export interface HardState {
  readonly term: Term;
  /** Replica id voted for in `term`; 0: none. */
  readonly vote: number;
  /** Commit index as known; a hint that may lag, for nobody need save it on its own account. */
  readonly commit: LogIndex;
}

/** One entry as handed to {@link SharedLog.append}. */
export interface LogEntry {
  readonly term: Term;
  /** The owner's own meaning, `[0, 2^16)`: command, configuration change, empty. */
  readonly kind: number;
  /** Copied before `append` returns; at most `WAL_ENTRY_BYTES_MAX` bytes. */
  readonly data: Uint8Array;
}

/** Where an image stands in its group's log. */
export interface ImagePoint {
  /** The last entry that the image contains. */
  readonly index: LogIndex;
  /** That entry's term. */
  readonly term: Term;
  /** The group's configuration at `index`, opaque; empty while groups are local. */
  readonly configuration: Uint8Array;
}

/**
 * Answers one submission: `undefined` when it is durable, else why it is not. It may submit more; it
 * must not throw, for those behind it wait for their answers in the same call.
 */
export type LogDone = (error: RegistryError | undefined) => void;

/**
 * What recovery tells, in this order: each `hardState`; then for each group that has one its image
 * (`imageStart`, `imageChunk`…, `imageEnd`); then each live `entry`, with ascending index and no
 * gap within a group, groups interleaved; then `ready`. Or, at any point, `failed`.
 *
 * Every entry is handed out that may have been acknowledged; the last few of a group may be ones
 * that never were (the crash came before the answer), which Raft and a caller that was told nothing
 * both allow. The crash may have come between entries or an image and the hard state that went with
 * them: then its term may be below theirs, and its commit index below the image. Bytes are views that end with the call: copy what is kept. A handler that throws ends
 * the opening with `failed`.
 */
export interface SharedLogHandlers {
  hardState(group: GroupId, state: HardState): void;
  imageStart(group: GroupId, point: ImagePoint): void;
  imageChunk(group: GroupId, chunk: Uint8Array): void;
  imageEnd(group: GroupId): void;
  entry(group: GroupId, index: LogIndex, term: Term, kind: number, data: Uint8Array): void;
  /** The log is open for use; the last call of recovery. */
  ready(log: SharedLog): void;
  /**
   * The log cannot be opened: `corrupt` (file and offset in the message, the file in
   * `fields.field`), `storage_unavailable`, `internal`. The storage may then be closed.
   */
  failed(error: RegistryError): void;
  /** Bytes that nobody was promised were cut from the end of the log; for the record. */
  cut?(notice: CutNotice): void;
  /** Acknowledged data is gone, and that was accepted; what, in words. */
  lost?(what: string, generation: number): void;
  /** The log's mark cannot be written at present; told once of each run of failures. */
  unmarked?(error: RegistryError): void;
  /** A sync failed: nothing more will ever be acknowledged. Give up leaderships; restart. */
  poisoned(error: RegistryError): void;
  /** No room on the disk (`false`), or room again (`true`). */
  writable?(writable: boolean): void;
  /** The time that one sync of the log took, ms. */
  synced?(durationMs: number): void;
}

/** What recovery cut from the end of the log. */
export interface CutNotice {
  readonly file: string;
  readonly offset: number;
  /** Position in the log below which all was known to be synced. */
  readonly watermark: number;
  readonly reason: string;
}

/** How much the log may take, and how it is laid out. All in bytes but the last. */
export interface SharedLogLimits {
  /** A segment's size, `[64 KiB, 1 GiB]`; default `WAL_SEGMENT_BYTES`. */
  readonly segmentBytes?: number;
  /** Segments above this are freed by compaction; default `WAL_SOFT_BYTES`. */
  readonly softBytes?: number;
  /** Appends are refused before segments reach this; default `WAL_HARD_BYTES`. */
  readonly hardBytes?: number;
  /** After how many ms without a write a watermark is written; default `WAL_IDLE_MS`. */
  readonly idleMs?: number;
}

/** Everything a log stands on. */
export interface SharedLogOptions {
  /** Opened on the log's own folder and used by nobody else; the log closes it. */
  readonly storage: Storage;
  /**
   * Opened on a folder outside of the log's, for the mark by which its loss is found out; the log
   * closes it. Default: no mark is kept, and a log that lost its end is believed.
   */
  readonly markStorage?: Storage;
  /** True: the operator accepts that acknowledged data is gone. The generation is raised then. */
  readonly acceptDataLoss?: boolean;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
  readonly limits?: SharedLogLimits;
  readonly handlers: SharedLogHandlers;
}

/** Figures for metrics; counts since the log was opened, sizes as of now. */
export interface SharedLogStats {
  /** Bytes handed to the disk for the log, padding included. */
  readonly writtenBytes: number;
  readonly imageBytesWritten: number;
  readonly imagesWritten: number;
  readonly batches: number;
  readonly syncs: number;
  readonly syncMsTotal: number;
  readonly syncMsMax: number;
  readonly segments: number;
  /** Size of all segments. */
  readonly segmentBytes: number;
  /** Entry records in segments that recovery would still hand out. */
  readonly liveBytes: number;
  readonly liveEntries: number;
  /** Submitted and not yet answered. */
  readonly pendingBytes: number;
  /**
   * Age of the oldest record not yet durable, ms by the log's clock, the log's own watermark
   * included; 0: there is none. What grows here is a disk that is stuck, or far too slow.
   */
  readonly oldestPendingMs: number;
  readonly writable: boolean;
  readonly poisoned: boolean;
}

/** A group that keeps a segment alive. */
export interface SegmentHolder {
  readonly group: GroupId;
  /** Its live entries in that segment, `[firstIndex, lastIndex]`. */
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly bytes: number;
}

/**
 * The open log.
 *
 * **What the owner may assume.** Submissions are answered in the order in which they were made,
 * across all groups; an image stands apart, answered when its file and its mark are durable, or with
 * an error of its own. When one is answered with an error, every one made after it and not answered
 * yet is answered with an error too, before any later one succeeds: so the entries of a group that
 * are acknowledged are always a prefix of those submitted, and no gap can come about.
 * After an error `storage_unavailable` the group's log ends at {@link SharedLog.lastIndex} (its
 * last acknowledged entry); what was submitted above it is gone from this log and must be
 * submitted again, from `lastIndex + 1`, by whoever still wants it. (A crash between the failure
 * and the cut may let recovery hand such an entry out none the less: its outcome is *not known*,
 * never *refused*.) Poison answers every outstanding and later submission with
 * `storage_unavailable`; there the outcome of what was outstanding is not known either.
 *
 * **Refusals** are returned at once (`overloaded` with `retryAfterMs`; `storage_unavailable`;
 * `too_large`; `shutting_down`): then nothing was done, `done` is never called, and the next
 * `append` of the group must start at the refused index. Bugs throw: a gap in a group's indexes is
 * an InvariantError.
 */
export interface SharedLog {
  /**
   * The generation under which the groups give out incarnations; greater than any before where
   * acknowledged data was lost and the operator accepted it. Each group begins at
   * `firstTermOf(generation)` at least.
   */
  readonly generation: number;

  /**
   * Appends entries of a group: its log ends before `firstIndex` from now on, then come these.
   * `firstIndex` is at most one above the last index submitted and above the image's index.
   * Submissions of one turn, of all groups, share one write and one sync.
   */
  append(
    group: GroupId,
    firstIndex: LogIndex,
    entries: readonly LogEntry[],
    done: LogDone,
  ): RegistryError | undefined;

  /** As `append` with one entry, without the array. */
  appendOne(
    group: GroupId,
    index: LogIndex,
    entry: LogEntry,
    done: LogDone,
  ): RegistryError | undefined;

  /**
   * Makes a group's term, vote and commit durable; the newest wins. Where it goes with entries it is
   * saved after their append, in the same turn: a crash keeps a prefix of what was submitted, and a
   * commit index without the entries that it speaks of would speak of those that they truncated. Both
   * are durable before anybody is told of either.
   */
  saveHardState(group: GroupId, state: HardState, done?: LogDone): RegistryError | undefined;

  /**
   * Replaces the entries of a group up to `point.index`, which is acknowledged, by an image of the
   * group's own state; entries above it stay. `chunks` is drained before this returns, each chunk
   * copied, so it may read live state; recovery may hand the same bytes out cut otherwise. When
   * `done` reports success the image is what recovery will hand out; on failure the former image
   * and the entries stand. One image of a group at a time.
   */
  writeImage(
    group: GroupId,
    point: ImagePoint,
    chunks: Iterable<Uint8Array>,
    done: LogDone,
  ): RegistryError | undefined;

  /**
   * As `writeImage`, with an image from a leader: it replaces the group's whole log, acknowledged
   * and outstanding entries at and above `point.index` too, for they may contradict what the image
   * contains (Raft thesis §5.1). The log goes on above it.
   *
   * An image of the group that is under way ends with `canceled`. Until `done` nothing is appended to
   * the group; and no hard state whose commit index is the image's is saved, for until then the
   * entries that it would speak of are those that the image replaces.
   */
  installImage(
    group: GroupId,
    point: ImagePoint,
    chunks: Iterable<Uint8Array>,
    done: LogDone,
  ): RegistryError | undefined;

  /**
   * The group's replica is gone from this node: its entries, hard state and image end, all at once.
   * When `done` reports success no recovery hands any of it out; on failure all of it stands, but for
   * an image under way, which ends with `canceled` either way. What is submitted for the group from
   * the call on belongs to another replica, whose log begins at index 1 or with an image installed.
   */
  forget(group: GroupId, done: LogDone): RegistryError | undefined;

  /** The last acknowledged index of a group, or its image's; 0 for one never seen, or forgotten. */
  lastIndex(group: GroupId): LogIndex;

  /** The index of the group's durable image; 0: none. */
  imageIndex(group: GroupId): LogIndex;

  /** Live entries of a group that a restart would replay: count and bytes. */
  live(group: GroupId): { readonly entries: number; readonly bytes: number };

  /** Who holds live entries in the oldest segment that is not written to any more. */
  oldestHolders(): readonly SegmentHolder[];

  /**
   * Copies the live entries that `groups` hold in the oldest segment to the log's end, so that
   * the segment can go; entries that die meanwhile are left out. One call at a time.
   */
  relocateOldest(groups: ReadonlySet<GroupId>, done: LogDone): RegistryError | undefined;

  stats(): SharedLogStats;

  /**
   * Answers all that was submitted, writes and syncs a last watermark, closes the storage. Later
   * submissions are refused with `shutting_down`.
   */
  close(done: LogDone): void;
}
