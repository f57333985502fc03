/**
 * The log writer: gathers submissions into batches, commits batches to disk, and answers in order.
 *
 * All submissions of a turn share a batch. One batch is committed at a time (commit.ts): written,
 * synced, recorded in the tail mark, then answered; meanwhile the next one is gathered. The tail
 * mark therefore covers everything that was ever acknowledged, also after the process was killed,
 * and nothing that is not durable. A segment begins only after everything before it is durable, with
 * a header of its own, synced together with the folder.
 *
 * A failed write is rolled back: its bytes are truncated, durably, and it and everything submitted
 * after it is answered with the failure; then free space is probed for every `WAL_PROBE_MS`. A
 * failed sync is final: the kernel may have dropped pages that it reports clean from then on.
 */
import { RegistryError } from "../base/errors.ts";
import { WAL_PROBE_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";
import { Batch } from "../wal/batch.ts";
import { ActiveSegment } from "./active_segment.ts";
import { BatchCommitter } from "./batch_committer.ts";
import type { DurablePoint } from "./log_mark_keeper.ts";
import type { MarkFile } from "./mark_file.ts";
import { BatchQueue, isWatermark, type Slot, type Submission } from "./batch_queue.ts";
import type { StorageFailure } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";
import { WriteThrottle } from "./write_throttle.ts";

/** The position from which the log continues. */
export interface WriterStart {
  readonly logId: Uint8Array;
  readonly generation: number;
  /** The file of the tail mark, written with each batch. */
  readonly tail: MarkFile;
  /** Sequence number of the next record. */
  readonly sequence: number;
  /** Position of the next batch; everything before it is durable. */
  readonly position: number;
  /** The active segment; `undefined` if the first one must be created. */
  readonly segment: { readonly position: number; readonly allocated: number } | undefined;
  /** Number of the last segment. */
  readonly segmentNumber: number;
}

/** Services and notifications the writer needs from its owner. */
export interface WriterOwner {
  /** Adds the header record of a new segment to `batch`; everything submitted before is durable. */
  segmentHeader(batch: Batch, segmentNumber: number): void;
  /** Called when a new segment is durable. */
  segmentBegun(position: number): void;
  /**
   * Called after a failed write, before its submissions are answered: only durable records count.
   */
  rolledBack(): void;
  /**
   * Called after a successful commit whose submissions were answered: everything up to `durable`
   * is on disk.
   */
  synced(durationMs: number, durable: DurablePoint): void;
  /** Called once per series of batches whose tail mark could not be written. */
  unmarked(error: RegistryError): void;
  writable(writable: boolean): void;
  poisoned(error: RegistryError): void;
  /** Returns the used part of the log's limit, from 0 to 1. */
  fullness(): number;
}

/** Counters of {@link LogWriter.stats}. */
export interface WriterStats {
  writtenBytes: number;
  batches: number;
  syncs: number;
  syncMsTotal: number;
  syncMsMax: number;
}

/** The writer of one log. */
export class LogWriter {
  readonly stats: WriterStats = {
    writtenBytes: 0,
    batches: 0,
    syncs: 0,
    syncMsTotal: 0,
    syncMsMax: 0,
  };
  readonly #clock: MonotonicClock;
  readonly #scheduler: Scheduler;
  readonly #owner: WriterOwner;
  readonly #logId: Uint8Array;
  readonly #idleMs: number;
  #sequence: number;
  /** Position after the last batch that was committed or is being committed. */
  #end: number;
  #watermark: number;
  /** Sequence number of the last durable record. */
  #durableSequence: number;
  readonly #segment: ActiveSegment;
  readonly #committer: BatchCommitter;
  readonly #throttle: WriteThrottle;
  readonly #queue: BatchQueue;
  #committing: Slot | undefined;
  /** True while the file is being cut, or the next one created. */
  #rolling = false;
  /**
   * Set once the creation of a next segment was attempted. Nothing is written to this one any more:
   * if the folder kept the name of the failed one, recovery would end this one where that begins.
   */
  #rollDue = false;
  #pumpDue = false;
  #idle: Timer | undefined;
  /** True when durable records are above the last logged watermark. */
  #watermarkDue = false;
  #state: "open" | "cutting" | "waiting" | "probing" | "poisoned" = "open";
  #probe: Timer | undefined;
  #failure: StorageFailure | undefined;
  /** Position at which the remains of the failed write begin. */
  #cutAt = 0;
  #cutSequence = 0;
  #onDrained: (() => void) | undefined;

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
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#owner = owner;
    this.#idleMs = idleMs;
    this.#logId = start.logId;
    this.#sequence = start.sequence;
    this.#end = start.position;
    this.#watermark = start.position;
    this.#durableSequence = start.sequence - 1;
    this.#queue = new BatchQueue(clock);
    this.#throttle = new WriteThrottle({
      clock,
      scheduler,
      fullness: () => owner.fullness(),
      onFree: () => this.#pump(),
    });
    this.#segment = new ActiveSegment(driver, {
      segmentBytes,
      number: start.segmentNumber,
      onZeros: () => this.#pump(),
    });
    this.#committer = new BatchCommitter({
      ...start,
      segment: this.#segment,
      onUnmarked: (error) => owner.unmarked(error),
    });
    if (start.segment === undefined) return;
    const { position, allocated } = start.segment;
    this.#segment.resume(position, Math.max(allocated, this.#end));
    // Entries that recovery handed out count as acknowledged, so they get a watermark above them.
    this.#watermarkDue = true;
    this.#restIfIdle();
  }

  /** Position after the last byte written. */
  get end(): number {
    return this.#end;
  }

  /** Point up to which the log is durable. */
  get durable(): DurablePoint {
    return { sequence: this.#durableSequence, position: this.#watermark };
  }

  /** Bytes submitted and not yet answered. */
  get pendingBytes(): number {
    return this.#queue.pendingBytes;
  }

  /** Age of the oldest record that is not durable, ms; 0 if there is none. */
  get oldestPendingMs(): number {
    const oldest = this.#committing ?? this.#queue.first;
    return oldest === undefined ? 0 : this.#clock.nowMs() - oldest.sinceMs;
  }

  get isPoisoned(): boolean {
    return this.#state === "poisoned";
  }

  get isWritable(): boolean {
    return this.#state === "open";
  }

  /** Returns why submissions are refused now, or `undefined`. */
  refusal(): RegistryError | undefined {
    return this.#state === "open" ? undefined : this.#error();
  }

  /**
   * Returns the batch to which the caller adds one record; {@link submit} follows in the same turn.
   */
  batch(): Batch {
    return this.#queue.batch();
  }

  /** Adds the submission whose record was just added to {@link batch}. */
  submit(submission: Submission): void {
    this.#queue.push(submission);
    this.#pumpSoon();
  }

  /** Creates the first segment of a new log; calls `done` when it is durable or failed. */
  begin(done: (error: RegistryError | undefined) => void): void {
    this.#roll((error) => done(error));
  }

  /** Answers all submissions, syncs a watermark, then calls `done`. */
  drain(done: () => void): void {
    this.#onDrained = done;
    this.#idle?.cancel();
    this.#pumpSoon();
  }

  /** Cancels all timers. */
  stop(): void {
    this.#idle?.cancel();
    this.#probe?.cancel();
  }

  #error(): RegistryError {
    const why = this.#failure?.message ?? "the log is not writable";
    if (this.#state === "poisoned") {
      const words = `Log is closed to writes until a restart as a sync failed: ${why}`;
      return new RegistryError("storage_unavailable", words);
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

  /** Starts all work that can start now. */
  #pump(): void {
    if (this.#state === "cutting") return this.#cutWhenQuiet();
    if (this.#state === "poisoned" || this.#rolling) return this.#checkDrained();
    this.#startCommit();
    this.#restIfIdle();
    this.#checkDrained();
  }

  #startCommit(): void {
    const slot = this.#queue.first;
    if (this.#committing !== undefined || slot === undefined || this.#throttle.isHeldBack()) return;
    const size = slot.batch.byteCount;
    if (this.#rollDue || !this.#segment.fits(this.#end, size)) this.#roll(() => this.#pump());
    else if (this.#segment.isClear(this.#end, size)) this.#commit(this.#queue.shift());
  }

  #commit(slot: Slot): void {
    const place = { sequence: this.#sequence, position: this.#end, watermark: this.#watermark };
    const startMs = this.#clock.nowMs();
    const bytes = this.#committer.commit(slot, place, (outcome) => {
      this.#committing = undefined;
      if (this.#state === "poisoned") {
        this.#failQueued(slot);
        this.#checkDrained();
      } else if (outcome.kind === "durable") {
        this.#acknowledge(slot, this.#clock.nowMs() - startMs);
      } else {
        this.#queue.unshift(slot);
        if (outcome.kind === "unsynced") this.poison(outcome.failure);
        else this.#beginCut(outcome.failure, place.position, place.sequence);
      }
    });
    this.#committing = slot;
    this.#sequence += slot.batch.recordCount;
    this.#end = slot.end;
    this.stats.batches++;
    this.stats.writtenBytes += bytes;
  }

  #acknowledge(slot: Slot, durationMs: number): void {
    this.#countSync(durationMs);
    this.#watermark = slot.end;
    this.#durableSequence = slot.sequence + slot.batch.recordCount - 1;
    this.#watermarkDue = !isWatermark(slot);
    if (this.#state === "probing") this.#reopen();
    this.#queue.answer(slot);
    this.#owner.synced(durationMs, this.durable);
    this.#pump();
  }

  #countSync(durationMs: number): void {
    const stats = this.stats;
    stats.syncs++;
    stats.syncMsTotal += durationMs;
    stats.syncMsMax = Math.max(stats.syncMsMax, durationMs);
  }

  /** Starts the next segment. Everything before is durable, and nothing is in progress. */
  #roll(done: (error: RegistryError | undefined) => void): void {
    if (this.#segment.isBusy) return;
    this.#rolling = this.#rollDue = true;
    const batch = new Batch();
    const position = this.#end;
    const sequence = this.#sequence;
    this.#owner.segmentHeader(batch, this.#segment.number + 1);
    const seal = { logId: this.#logId, sequence, position, watermark: this.#watermark };
    const bytes = batch.seal(seal);
    const startMs = this.#clock.nowMs();
    this.#segment.next(position, bytes, (outcome) => {
      this.#rolling = false;
      if (outcome.kind === "made") {
        this.#countSync(this.#clock.nowMs() - startMs);
        this.#entered(position, bytes.length);
        done(undefined);
      } else if (outcome.kind === "unsynced") {
        this.poison(outcome.failure);
        done(this.#error());
      } else if (this.#segment.position === -1) {
        done(notWritten(outcome.failure));
      } else {
        this.#beginCut(outcome.failure, position, sequence);
      }
    });
  }

  #entered(position: number, headerBytes: number): void {
    this.#rollDue = false;
    this.#durableSequence = this.#sequence++;
    this.#end = this.#watermark = position + headerBytes;
    this.stats.writtenBytes += headerBytes;
    this.#owner.segmentBegun(position);
  }

  /** Rolls back a failed write: nothing more is written until its remains are gone. */
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
    if (this.#committing !== undefined || this.#segment.isBusy || this.#rolling) return;
    this.#rolling = true;
    this.#segment.cut(this.#cutAt, (failure) => {
      this.#rolling = false;
      if (failure !== undefined) return this.poison(failure);
      this.#endCut();
    });
  }

  #endCut(): void {
    this.#end = this.#cutAt;
    this.#sequence = this.#cutSequence;
    this.#state = "waiting";
    this.#owner.rolledBack();
    this.#failQueued();
    this.#probeLater();
    this.#checkDrained();
  }

  /** Probes for free space with a watermark; when it is durable, the log is open again. */
  #probeLater(): void {
    this.#probe = this.#scheduler.after(WAL_PROBE_MS, () => {
      if (this.#state !== "waiting") return;
      this.#state = "probing";
      this.#queue.pushWatermark();
      this.#pump();
    });
  }

  #reopen(): void {
    this.#state = "open";
    this.#failure = undefined;
    this.#segment.layZeros();
    this.#owner.writable(true);
  }

  /** Answers everything that is not in progress, after `slot`, with the failure. */
  #failQueued(slot?: Slot): void {
    const queued = this.#queue.takeAll();
    this.#queue.fail(slot === undefined ? queued : [slot, ...queued], this.#error());
  }

  /**
   * Handles a failed sync of the log or of something it depends on: acknowledges nothing any more.
   */
  poison(failure: StorageFailure): void {
    if (this.#state === "poisoned") return;
    const wasOpen = this.#state === "open";
    this.#state = "poisoned";
    this.#rolling = false;
    this.#failure = failure;
    this.stop();
    if (wasOpen) this.#owner.writable(false);
    this.#owner.poisoned(this.#error());
    // The batch in progress is answered when its commit ends, because its bytes are still in use.
    if (this.#committing === undefined) this.#failQueued();
    this.#checkDrained();
  }

  /** Schedules a watermark when nothing is in progress or due. */
  #restIfIdle(): void {
    this.#idle?.cancel();
    this.#idle = undefined;
    if (this.#state !== "open" || !this.#watermarkDue || !this.#isIdle) return;
    if (this.#rolling) return;
    if (this.#onDrained !== undefined) return this.#writeWatermark();
    this.#idle = this.#scheduler.after(this.#idleMs, () => this.#writeWatermark());
  }

  get #isIdle(): boolean {
    return this.#committing === undefined && this.#queue.first === undefined;
  }

  #writeWatermark(): void {
    if (this.#state !== "open" || !this.#isIdle) return;
    this.#watermarkDue = false;
    this.#queue.pushWatermark();
    this.#pump();
  }

  #checkDrained(): void {
    const done = this.#onDrained;
    if (done === undefined) return;
    const ended = this.#state === "poisoned" || this.#state === "waiting";
    if (this.#committing !== undefined || this.#rolling || this.#segment.isBusy) return;
    if (!ended && (!this.#isIdle || this.#watermarkDue)) return;
    this.#onDrained = undefined;
    this.stop();
    done();
  }
}

function notWritten({ message }: StorageFailure): RegistryError {
  return new RegistryError("storage_unavailable", `Log cannot be written: ${message}`, {
    retryAfterMs: WAL_PROBE_MS,
  });
}
