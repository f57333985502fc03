/**
 * The public interface of the shared log: one durable log for all groups of a node, with images.
 *
 * Contract: everything acknowledged is there after any crash; nothing is acknowledged before it and
 * everything submitted before it is on disk. Callbacks, no promises; every callback comes in a
 * later turn than the call it answers. Source: design of the log record, watermarks and recovery in
 * ARCHITECTURE.md; the ordering duties follow the Raft thesis §3.8 and §11.7.3 (entries, term and
 * vote are durable before any message mentions them).
 *
 * `openSharedLog` in `open_shared_log.ts` creates one.
 */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import type { Entropy, MonotonicClock, Scheduler } from "../base/world.ts";
import type { Storage } from "./storage.ts";

/** Durable state of a group besides its entries (Raft thesis figure 3.1). */
export interface LoggedHardState {
  readonly term: Term;
  /** Replica id voted for in `term`; 0 if none. */
  readonly vote: number;
  /** Known commit index; a hint that may lag, because it need not be saved on its own account. */
  readonly commit: LogIndex;
}

/** An entry passed to {@link SharedLog.append}. */
export interface LogEntry {
  readonly term: Term;
  /** Defined by the owner, `[0, 2^16)`: command, configuration change, empty. */
  readonly kind: number;
  /** Copied before `append` returns; at most `WAL_ENTRY_BYTES_MAX` bytes. */
  readonly data: Uint8Array;
}

/** Position of an image in its group's log. */
export interface ImagePoint {
  /** Index of the last entry that the image contains. */
  readonly index: LogIndex;
  /** Term of that entry. */
  readonly term: Term;
  /** The group's configuration at `index`, opaque; empty while groups are local. */
  readonly configuration: Uint8Array;
}

/**
 * Receives the outcome of one submission: `undefined` when it is durable, otherwise the error. It
 * may submit more; it must not throw, because later submissions are answered in the same call.
 */
export type LogDone = (error: RegistryError | undefined) => void;

/**
 * Receiver of the results of recovery, in this order: each `hardState`; then for each group that
 * has one its image (`imageStart`, `imageChunk`…, `imageEnd`); then each live `entry`, with
 * ascending index and no gap within a group, groups interleaved; then `ready`. Or, at any point,
 * `failed`.
 *
 * Every entry that may have been acknowledged is handed out. The last few of a group may never have
 * been acknowledged (the crash came before the answer), which is allowed by Raft and by a caller
 * that received no answer. The crash may have come between entries or an image and the hard state
 * saved with them: then its term may be below theirs, and its commit index below the image. Bytes
 * are views that are valid during the call only: copy what is kept. A handler that throws ends the
 * opening with `failed`.
 */
export interface SharedLogHandlers {
  hardState(group: GroupId, state: LoggedHardState): void;
  imageStart(group: GroupId, point: ImagePoint): void;
  imageChunk(group: GroupId, chunk: Uint8Array): void;
  imageEnd(group: GroupId): void;
  entry(group: GroupId, index: LogIndex, term: Term, kind: number, data: Uint8Array): void;
  /** Called last by recovery: the log is open for use. */
  ready(log: SharedLog): void;
  /**
   * Called when the log cannot be opened: `corrupt` (file and offset in the message, the file in
   * `fields.field`), `storage_unavailable`, `internal`. The storage may then be closed.
   */
  failed(error: RegistryError): void;
  /** Called when unacknowledged bytes were cut from the end of the log; for information. */
  cut?(notice: CutNotice): void;
  /**
   * Called when acknowledged data was lost and the loss accepted, with a description of the loss.
   */
  lost?(what: string, generation: number): void;
  /** Called once per series of failures to write the log's mark. */
  unmarked?(error: RegistryError): void;
  /** Called when a sync failed: nothing more is acknowledged. Give up leaderships and restart. */
  poisoned(error: RegistryError): void;
  /** Called when the disk is full (`false`), or has space again (`true`). */
  writable?(writable: boolean): void;
  /** Called after each commit of a batch with the duration of its write, sync and tail mark, ms. */
  synced?(durationMs: number): void;
}

/** A cut of the end of the log by recovery. */
export interface CutNotice {
  readonly file: string;
  readonly offset: number;
  /** Position in the log below which everything was known to be synced. */
  readonly watermark: number;
  readonly reason: string;
}

/** Size limits and layout of the log, in bytes except for the last. */
export interface SharedLogLimits {
  /** Size of a segment, `[64 KiB, 1 GiB]`; default `WAL_SEGMENT_BYTES`. */
  readonly segmentBytes?: number;
  /** Size of the log above which compaction frees segments; default `WAL_SOFT_BYTES`. */
  readonly softBytes?: number;
  /** Maximum size of the log, above which appends are refused; default `WAL_HARD_BYTES`. */
  readonly hardBytes?: number;
  /** Time without a write after which a watermark is written, ms; default `WAL_IDLE_MS`. */
  readonly idleMs?: number;
  /** Size of one write of an image; default `IMAGE_WRITE_BYTES`. */
  readonly imageWriteBytes?: number;
}

/** Options of a log. */
export interface SharedLogOptions {
  /** Opened on the log's own folder, for the log's exclusive use; the log closes it. */
  readonly storage: Storage;
  /**
   * Opened on a folder outside of the log's, for the synced mark that detects a loss of the log; the
   * log closes it. Default: only the tail mark in the log's folder is kept, which a power cut may
   * take.
   */
  readonly markStorage?: Storage;
  /** True if the operator accepts the loss of acknowledged data; the generation is then raised. */
  readonly acceptDataLoss?: boolean;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
  readonly limits?: SharedLogLimits;
  readonly handlers: SharedLogHandlers;
}

/** Statistics for metrics; counts since the log was opened, current sizes. */
export interface SharedLogStats {
  /** Bytes written to disk for the log, including padding. */
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
  /** Bytes submitted and not yet answered. */
  readonly pendingBytes: number;
  /**
   * Age of the oldest record not yet durable, ms by the log's clock, including the log's own
   * watermark; 0 if there is none. Growth means a stuck or far too slow disk.
   */
  readonly oldestPendingMs: number;
  readonly writable: boolean;
  readonly poisoned: boolean;
}

/** A group whose live entries keep a segment from being freed. */
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
 * **Guarantees.** Submissions are answered in the order in which they were made, across all groups.
 * Images are answered separately, when their file and their mark are durable, or with an error of
 * their own. When a submission is answered with an error, every one made after it and not answered
 * yet is answered with an error too, before any later one succeeds. The acknowledged entries of a
 * group are therefore always a prefix of those submitted, without gaps.
 *
 * After an error `storage_unavailable` the group's log ends at {@link SharedLog.lastIndex} (its
 * last acknowledged entry). Entries submitted above it are gone from this log and must be submitted
 * again, from `lastIndex + 1`, if they are still wanted. (A crash between the failure and the cut
 * may let recovery hand such an entry out nevertheless: its outcome is *not known*, never
 * *refused*.) A failed sync answers every outstanding and later submission with
 * `storage_unavailable`; the outcome of the outstanding ones is not known either.
 *
 * **Refusals** are returned at once (`overloaded` with `retryAfterMs`; `storage_unavailable`;
 * `too_large`; `shutting_down`): nothing was done, `done` is never called, and the next `append` of
 * the group must start at the refused index. Bugs throw: a gap in a group's indexes is an
 * InvariantError.
 */
export interface SharedLog {
  /**
   * Generation under which the groups assign incarnations; greater than any before if acknowledged
   * data was lost and the operator accepted it. Each group's terms are at least
   * `firstTermOf(generation)`.
   */
  readonly generation: number;

  /**
   * Appends entries of a group: its log is truncated before `firstIndex`, then these follow.
   * `firstIndex` is at most one above the last submitted index, and above the image's index.
   * Submissions of one turn, of all groups, share one write and one sync.
   */
  append(
    group: GroupId,
    firstIndex: LogIndex,
    entries: readonly LogEntry[],
    done: LogDone,
  ): RegistryError | undefined;

  /** Does the same as `append` with one entry, without the array. */
  appendOne(
    group: GroupId,
    index: LogIndex,
    entry: LogEntry,
    done: LogDone,
  ): RegistryError | undefined;

  /**
   * Makes a group's term, vote and commit durable; the newest wins. A hard state that belongs to
   * entries is saved after their append, in the same turn: a crash keeps a prefix of the
   * submissions, and a commit index without its entries would apply to the entries that they
   * truncated. Both must be durable before any message mentions either.
   */
  saveHardState(group: GroupId, state: LoggedHardState, done?: LogDone): RegistryError | undefined;

  /**
   * Replaces the entries of a group up to `point.index`, which is acknowledged, by an image of the
   * group's own state; entries above it stay. `chunks` is taken in this turn and later ones, each
   * chunk copied before another one is, and `return` is called if not all are taken; after a refusal
   * the caller still owns it. Recovery may hand out the same bytes in different chunks. When `done`
   * reports success, recovery will hand out this image; on failure the former image and the entries
   * stay. One image of a group at a time.
   */
  writeImage(
    group: GroupId,
    point: ImagePoint,
    chunks: Iterable<Uint8Array>,
    done: LogDone,
  ): RegistryError | undefined;

  /**
   * Does the same as `writeImage` with an image from a leader: it replaces the group's whole log,
   * including acknowledged and outstanding entries at and above `point.index`, because they may
   * conflict with the image's content (Raft thesis §5.1). The log continues above it.
   *
   * An image of the group that is in progress ends with `canceled`. Until `done`, nothing may be
   * appended to the group, and no hard state with the image's commit index may be saved, because
   * until then that index refers to the entries that the image replaces.
   */
  installImage(
    group: GroupId,
    point: ImagePoint,
    chunks: Iterable<Uint8Array>,
    done: LogDone,
  ): RegistryError | undefined;

  /**
   * Removes the group's replica from this node: its entries, hard state and image end atomically.
   * When `done` reports success, no recovery hands any of it out; on failure all of it stays,
   * except for an image in progress, which ends with `canceled` either way. Later submissions for
   * the group belong to another replica, whose log begins at index 1 or with an installed image.
   */
  forget(group: GroupId, done: LogDone): RegistryError | undefined;

  /**
   * Returns the last acknowledged index of a group, or its image's; 0 if never seen or forgotten.
   */
  lastIndex(group: GroupId): LogIndex;

  /** Returns the index of the group's durable image; 0 if none. */
  imageIndex(group: GroupId): LogIndex;

  /** Returns the count and bytes of a group's live entries, which a restart would replay. */
  live(group: GroupId): { readonly entries: number; readonly bytes: number };

  /** Returns the groups with live entries in the oldest segment that is not the active one. */
  oldestHolders(): readonly SegmentHolder[];

  /**
   * Copies the live entries that `groups` hold in the oldest segment to the log's end, so that the
   * segment can be freed; entries that die meanwhile are left out. One call at a time.
   */
  relocateOldest(groups: ReadonlySet<GroupId>, done: LogDone): RegistryError | undefined;

  stats(): SharedLogStats;

  /**
   * Answers all submissions, writes and syncs a last watermark, and closes the storage. Later
   * submissions are refused with `shutting_down`.
   */
  close(done: LogDone): void;
}
