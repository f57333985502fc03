/**
 * The writer: turns submissions into batches, batches into bytes on the disk, and answers in order.
 *
 * All submissions of a turn share a batch. While one batch is being synced the next is gathered and
 * already written, so that the disk is never idle for want of bytes; a sync covers what was written
 * before it began. Order: batch n is answered before batch n + 1; a segment begins only after all
 * before it is durable, with a header of its own, synced together with the folder.
 *
 * A write that fails is cut back: its bytes are truncated away, durably, and it and everything
 * submitted after it is answered with the failure; then room is looked for every `WAL_PROBE_MS`. A
 * failed sync ends it all: the kernel may have dropped pages that it reports clean from then on.
 */
import { RegistryError } from "../base/errors.ts";
import { WAL_BATCH_BYTES, WAL_PROBE_MS, WAL_WRITTEN_BATCHES_MAX } from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";
import { Batch } from "../wal/batch.ts";
import { pageAlign, segmentName } from "../wal/segment.ts";
import type { StorageFailure } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";
import { makeSegment } from "./segment_maker.ts";
import { ZerosAhead } from "./zeros_ahead.ts";

/** One record on its way. */
export interface Submission {
  /** Size of its record. */
  readonly bytes: number;
  /** It is durable: under that sequence number, in the segment that begins at that position. */
  durable(sequence: number, segment: number): void;
  /** It is not in the log. */
  failed(error: RegistryError): void;
}

/** The watermark's own: each record of a batch has a submission, so that they count alike. */
const WATERMARK: Submission = { bytes: 0, durable() {}, failed() {} };

/** A batch and whom it answers; submissions stand in the order of the batch's records. */
interface Slot {
  readonly batch: Batch;
  submissions: Submission[];
  /** When the first of them came. */
  sinceMs: number;
  /** Set when it is written. */
  sequence: number;
  segment: number;
  end: number;
}

/** Where the log goes on. */
export interface WriterStart {
  readonly logId: Uint8Array;
  /** Sequence number of the next record. */
  readonly sequence: number;
  /** Position of the next batch; all before it is durable. */
  readonly position: number;
  /** The segment that is written to, or `undefined`: a first one is to be made. */
  readonly segment: { readonly position: number; readonly allocated: number } | undefined;
  /** Number of the last segment. */
  readonly segmentNumber: number;
}

/** What the writer asks and tells. */
export interface WriterOwner {
  /** Adds the header record of a new segment to `batch`; all submitted before is durable. */
  segmentHeader(batch: Batch, segmentNumber: number): void;
  /** A segment was begun; it is durable. */
  segmentBegun(position: number): void;
  /** After a failed write, before its submissions are answered: only what is durable counts. */
  rolledBack(): void;
  /** A sync has ended well, and its submissions were answered. */
  synced(durationMs: number): void;
  writable(writable: boolean): void;
  poisoned(error: RegistryError): void;
  /** For how many ms to hold each write back, as the log nears its limit; mostly 0. */
  slowMs(): number;
}

/** What {@link LogWriter.stats} counts. */
export interface WriterStats {
  writtenBytes: number;
  batches: number;
  syncs: number;
  syncMsTotal: number;
  syncMsMax: number;
}

/** Writes one log. */
export class LogWriter {
  readonly stats: WriterStats = {
    writtenBytes: 0,
    batches: 0,
    syncs: 0,
    syncMsTotal: 0,
    syncMsMax: 0,
  };
  readonly #driver: StorageDriver;
  readonly #clock: MonotonicClock;
  readonly #scheduler: Scheduler;
  readonly #owner: WriterOwner;
  readonly #logId: Uint8Array;
  readonly #segmentBytes: number;
  readonly #idleMs: number;
  #sequence: number;
  /** Position after the last batch that was written or is being written. */
  #end: number;
  #watermark: number;
  #segment = -1;
  #file = "";
  #segmentNumber: number;
  /** Where the header of a segment that this writer began ends. */
  #headerEnd = -1;
  readonly #ahead: ZerosAhead;

  #gathering: Slot = newSlot();
  readonly #free: Slot[] = [];
  #full: Slot[] = [];
  #writing: Slot | undefined;
  #written: Slot[] = [];
  #syncing: Slot[] = [];
  #rolling = false;
  /**
   * A next segment was tried to be made: nothing is written to this one any more, for if the folder
   * kept the failed one's name, recovery would end this one where that begins.
   */
  #rollDue = false;
  #pumpDue = false;
  #slowUntil = 0;
  #idle: Timer | undefined;
  /** Durable records stand above the last watermark that was logged. */
  #watermarkDue = false;
  #state: "open" | "cutting" | "waiting" | "probing" | "poisoned" = "open";
  #probe: Timer | undefined;
  #failure: StorageFailure | undefined;
  /** What the failed write left behind begins here; the segment's file when it was a header. */
  #cutAt = 0;
  #cutSequence = 0;
  #onDrained: (() => void) | undefined;
  #pendingBytes = 0;

  constructor(
    { driver, clock, scheduler, owner, start, segmentBytes, idleMs }: {
      readonly driver: StorageDriver;
      readonly clock: MonotonicClock;
      readonly scheduler: Scheduler;
      readonly owner: WriterOwner;
      readonly start: WriterStart;
      readonly segmentBytes: number;
      readonly idleMs: number;
    },
  ) {
    this.#driver = driver;
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#owner = owner;
    this.#segmentBytes = segmentBytes;
    this.#idleMs = idleMs;
    this.#logId = start.logId;
    this.#sequence = start.sequence;
    this.#end = start.position;
    this.#watermark = start.position;
    this.#segmentNumber = start.segmentNumber;
    this.#ahead = new ZerosAhead(driver, segmentBytes, () => this.#pump());
    if (start.segment === undefined) return;
    this.#segment = start.segment.position;
    this.#file = segmentName(this.#segment);
    this.#ahead.reset(Math.max(start.segment.allocated, this.#end), true);
    // What recovery handed out is as good as acknowledged: it gets a watermark above it.
    this.#watermarkDue = true;
    this.#restIfIdle();
  }

  /** Position after the last byte that was written. */
  get end(): number {
    return this.#end;
  }

  /** Position at which the segment being written begins. */
  get segment(): number {
    return this.#segment;
  }

  /** Bytes submitted and not answered. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Age of the oldest record that is not durable, ms; 0: there is none. */
  get oldestPendingMs(): number {
    const oldest = this.#syncing[0] ?? this.#written[0] ?? this.#writing ?? this.#full[0] ??
      this.#gathering;
    return oldest.submissions.length === 0 ? 0 : this.#clock.nowMs() - oldest.sinceMs;
  }

  get isPoisoned(): boolean {
    return this.#state === "poisoned";
  }

  get isWritable(): boolean {
    return this.#state === "open";
  }

  /** Why submissions cannot be taken now, or `undefined`. */
  refusal(): RegistryError | undefined {
    if (this.#state === "open") return undefined;
    return this.#error();
  }

  /** The batch to add one record to; {@link submit} follows in the same turn. */
  batch(): Batch {
    if (this.#gathering.batch.byteCount >= WAL_BATCH_BYTES) {
      this.#full.push(this.#gathering);
      this.#gathering = this.#free.pop() ?? newSlot();
    }
    return this.#gathering.batch;
  }

  /** Takes the submission whose record was just added to {@link batch}. */
  submit(submission: Submission): void {
    this.#push(submission);
    this.#pendingBytes += submission.bytes;
    this.#pumpSoon();
  }

  /** Makes the first segment of a new log; `done` when it is durable or why not. */
  begin(done: (error: RegistryError | undefined) => void): void {
    this.#roll((error) => done(error));
  }

  /** Answers all that was submitted, and when a watermark was synced too calls `done`. */
  drain(done: () => void): void {
    this.#onDrained = done;
    this.#idle?.cancel();
    this.#pumpSoon();
  }

  /** Ends all timers. */
  stop(): void {
    this.#idle?.cancel();
    this.#probe?.cancel();
  }

  #error(): RegistryError {
    const why = this.#failure?.message ?? "the log is not writable";
    if (this.#state === "poisoned") {
      return new RegistryError(
        "storage_unavailable",
        `Log is closed to writes until a restart as a sync failed: ${why}`,
      );
    }
    return notWritten(this.#failure ?? { kind: "io", message: why });
  }

  #pumpSoon(): void {
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    this.#scheduler.nextTurn(() => {
      this.#pumpDue = false;
      this.#pump();
    });
  }

  /** Starts whatever can be started now. */
  #pump(): void {
    if (this.#state === "cutting") return this.#cutWhenQuiet();
    if (this.#state === "poisoned" || this.#rolling) return this.#checkDrained();
    this.#startWrite();
    this.#startSync();
    this.#restIfIdle();
    this.#checkDrained();
  }

  get #isQuiet(): boolean {
    return this.#writing === undefined && this.#written.length === 0 && this.#syncing.length === 0;
  }

  get #hasGathered(): boolean {
    return this.#full.length > 0 || this.#gathering.batch.recordCount > 0;
  }

  #startWrite(): void {
    if (this.#writing !== undefined || !this.#hasGathered || this.#isHeldBack()) return;
    if (this.#written.length + this.#syncing.length >= WAL_WRITTEN_BATCHES_MAX) return;
    const slot = this.#full[0] ?? this.#gathering;
    const size = slot.batch.byteCount;
    if (this.#rollDue || !this.#fits(size)) {
      if (this.#isQuiet) this.#roll(() => this.#pump());
      return;
    }
    if (this.#ahead.isBusy && this.#end + pageAlign(size) > this.#ahead.allocated) return;
    if (this.#full.length > 0) this.#full.shift();
    else this.#gathering = this.#free.pop() ?? newSlot();
    this.#write(slot);
  }

  /**
   * A batch larger than a segment goes into one that is nearly empty all the same; and into one that
   * has nothing but its header however large that is, or segments would be begun without end.
   */
  #fits(size: number): boolean {
    const used = this.#end - this.#segment;
    return used + size <= this.#segmentBytes || used < this.#segmentBytes / 2 ||
      this.#end === this.#headerEnd;
  }

  /** True while the log is so near its limit that writes are slowed down. */
  #isHeldBack(): boolean {
    const now = this.#clock.nowMs();
    if (now < this.#slowUntil) return true;
    const slowMs = this.#owner.slowMs();
    if (slowMs === 0) return false;
    this.#slowUntil = now + slowMs;
    this.#scheduler.after(slowMs, () => this.#pump());
    return false;
  }

  #write(slot: Slot): void {
    const position = this.#end;
    slot.sequence = this.#sequence;
    slot.segment = this.#segment;
    const bytes = slot.batch.seal({
      logId: this.#logId,
      sequence: slot.sequence,
      position,
      watermark: this.#watermark,
    });
    slot.end = position + bytes.length;
    this.#sequence += slot.batch.recordCount;
    this.#end = slot.end;
    this.#ahead.wrote(slot.end);
    this.#writing = slot;
    this.stats.batches++;
    this.stats.writtenBytes += bytes.length;
    this.#driver.submit(
      { kind: "write", file: this.#file, position: position - this.#segment, bytes },
      (failure) => this.#wrote(slot, position, failure),
    );
    this.#ahead.extend(this.#file, this.#segment, this.#end);
  }

  #wrote(slot: Slot, position: number, failure: StorageFailure | undefined): void {
    this.#writing = undefined;
    if (this.#state === "poisoned") {
      this.#fail([slot]);
      this.#failGathered();
      return this.#checkDrained();
    }
    if (failure !== undefined) {
      this.#full.unshift(slot);
      return this.#beginCut(failure, position, slot.sequence);
    }
    this.#written.push(slot);
    this.#pump();
  }

  #startSync(): void {
    if (this.#syncing.length > 0 || this.#written.length === 0) return;
    this.#syncing = this.#written;
    this.#written = [];
    const startMs = this.#clock.nowMs();
    this.#driver.submit({ kind: "sync", file: this.#file }, (failure) => {
      if (failure !== undefined) return this.poison(failure);
      if (this.#state === "poisoned") return;
      this.#synced(this.#clock.nowMs() - startMs);
    });
  }

  #synced(durationMs: number): void {
    this.#countSync(durationMs);
    const slots = this.#syncing;
    this.#syncing = [];
    for (const slot of slots) {
      this.#watermark = slot.end;
      // A batch of nothing but a watermark needs none above it.
      this.#watermarkDue = slot.submissions.some((submission) => submission !== WATERMARK);
      if (this.#state === "probing") this.#reopen();
      let sequence = slot.sequence;
      for (const submission of slot.submissions) {
        this.#pendingBytes -= submission.bytes;
        submission.durable(sequence++, slot.segment);
      }
      this.#recycle(slot);
    }
    this.#owner.synced(durationMs);
    this.#pump();
  }

  #countSync(durationMs: number): void {
    const stats = this.stats;
    stats.syncs++;
    stats.syncMsTotal += durationMs;
    stats.syncMsMax = Math.max(stats.syncMsMax, durationMs);
  }

  #recycle(slot: Slot): void {
    slot.submissions = [];
    slot.batch.reset();
    if (this.#free.length < WAL_WRITTEN_BATCHES_MAX + 2) this.#free.push(slot);
  }

  /** Begins the next segment. All before is durable, nothing is under way. */
  #roll(done: (error: RegistryError | undefined) => void): void {
    if (this.#ahead.isBusy) return;
    this.#rolling = this.#rollDue = true;
    const batch = new Batch();
    const position = this.#end;
    const sequence = this.#sequence;
    this.#owner.segmentHeader(batch, this.#segmentNumber + 1);
    const seal = { logId: this.#logId, sequence, position, watermark: this.#watermark };
    const bytes = batch.seal(seal);
    const startMs = this.#clock.nowMs();
    makeSegment(this.#driver, segmentName(position), bytes, (outcome) => {
      this.#rolling = false;
      if (outcome.kind === "made") {
        this.#countSync(this.#clock.nowMs() - startMs);
        this.#enterSegment(position, bytes.length);
        done(undefined);
      } else if (outcome.kind === "unsynced") {
        this.poison(outcome.failure);
        done(this.#error());
      } else if (this.#segment === -1) {
        done(notWritten(outcome.failure));
      } else {
        this.#beginCut(outcome.failure, position, sequence);
      }
    });
  }

  #enterSegment(position: number, headerBytes: number): void {
    if (this.#segment !== -1) {
      this.#driver.submit({ kind: "release", file: this.#file }, () => {});
    }
    this.#rollDue = false;
    this.#segmentNumber++;
    this.#segment = position;
    this.#file = segmentName(position);
    this.#sequence++;
    this.#end = this.#watermark = this.#headerEnd = position + headerBytes;
    this.#ahead.reset(this.#end, true);
    this.stats.writtenBytes += headerBytes;
    this.#owner.segmentBegun(position);
  }

  /** A write failed: nothing more is written until what it left is gone. */
  #beginCut(failure: StorageFailure, position: number, sequence: number): void {
    const was = this.#state;
    this.#failure = failure;
    this.#cutAt = position;
    this.#cutSequence = sequence;
    this.#state = "cutting";
    if (was === "open") this.#owner.writable(false);
    this.#cutWhenQuiet();
  }

  #cutWhenQuiet(): void {
    this.#startSync();
    if (!this.#isQuiet || this.#ahead.isBusy || this.#rolling) return;
    this.#rolling = true;
    const file = this.#file;
    const size = this.#cutAt - this.#segment;
    this.#driver.submit({ kind: "truncate", file, size }, (failure) => {
      if (failure !== undefined) return this.poison(failure);
      this.#driver.submit({ kind: "sync", file }, (syncFailure) => {
        this.#rolling = false;
        if (syncFailure !== undefined) return this.poison(syncFailure);
        this.#endCut();
      });
    });
  }

  #endCut(): void {
    this.#end = this.#cutAt;
    this.#ahead.reset(this.#end, false);
    this.#sequence = this.#cutSequence;
    this.#state = "waiting";
    this.#owner.rolledBack();
    this.#failGathered();
    this.#probeLater();
    this.#checkDrained();
  }

  #probeLater(): void {
    this.#probe = this.#scheduler.after(WAL_PROBE_MS, () => {
      if (this.#state !== "waiting") return;
      this.#state = "probing";
      this.#addWatermark();
      this.#pump();
    });
  }

  #reopen(): void {
    this.#state = "open";
    this.#failure = undefined;
    this.#ahead.reset(this.#ahead.allocated, true);
    this.#owner.writable(true);
  }

  #failGathered(): void {
    const slots = [...this.#full, this.#gathering];
    this.#full = [];
    this.#gathering = this.#free.pop() ?? newSlot();
    this.#fail(slots);
  }

  #fail(slots: readonly Slot[]): void {
    const error = this.#error();
    for (const slot of slots) {
      for (const submission of slot.submissions) {
        this.#pendingBytes -= submission.bytes;
        submission.failed(error);
      }
      this.#recycle(slot);
    }
  }

  /** A sync failed, of the log or of something it relies on: nothing is acknowledged any more. */
  poison(failure: StorageFailure): void {
    if (this.#state === "poisoned") return;
    const wasOpen = this.#state === "open";
    this.#state = "poisoned";
    this.#rolling = false;
    this.#failure = failure;
    this.stop();
    if (wasOpen) this.#owner.writable(false);
    this.#owner.poisoned(this.#error());
    const slots = [...this.#syncing, ...this.#written];
    this.#syncing = [];
    this.#written = [];
    this.#fail(slots);
    // The batch under way is answered when its write ends, for its bytes are still in use.
    if (this.#writing === undefined) this.#failGathered();
    this.#checkDrained();
  }

  /** When nothing is under way or due, sees to it that a watermark is. */
  #restIfIdle(): void {
    this.#idle?.cancel();
    this.#idle = undefined;
    if (this.#state !== "open" || !this.#watermarkDue) return;
    if (!this.#isQuiet || this.#hasGathered || this.#rolling) return;
    if (this.#onDrained !== undefined) return this.#writeWatermark();
    this.#idle = this.#scheduler.after(this.#idleMs, () => this.#writeWatermark());
  }

  #writeWatermark(): void {
    if (this.#state !== "open" || !this.#isQuiet || this.#hasGathered) return;
    this.#watermarkDue = false;
    this.#addWatermark();
    this.#pump();
  }

  #addWatermark(): void {
    this.#gathering.batch.watermark();
    this.#push(WATERMARK);
  }

  #push(submission: Submission): void {
    const { submissions } = this.#gathering;
    if (submissions.length === 0) this.#gathering.sinceMs = this.#clock.nowMs();
    submissions.push(submission);
  }

  #checkDrained(): void {
    const done = this.#onDrained;
    if (done === undefined) return;
    const ended = this.#state === "poisoned" || this.#state === "waiting";
    if (!this.#isQuiet || this.#rolling || this.#ahead.isBusy) return;
    if (!ended && (this.#hasGathered || this.#watermarkDue)) return;
    this.#onDrained = undefined;
    this.stop();
    done();
  }
}

function newSlot(): Slot {
  return { batch: new Batch(), submissions: [], sinceMs: 0, sequence: 0, segment: 0, end: 0 };
}

function notWritten({ message }: StorageFailure): RegistryError {
  return new RegistryError("storage_unavailable", `Log cannot be written: ${message}`, {
    retryAfterMs: WAL_PROBE_MS,
  });
}
