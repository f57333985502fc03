/**
 * The open log: admits submissions, keeps the ledger of durable records, frees dead segments.
 *
 * A group has two views: the *submitted* state, which determines where the next append may begin,
 * and the *durable* state, held by the ledger. The ledger changes only when a record is durable, in
 * the order of the log, so at every moment it equals what a recovery would find.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import { type GroupId, type LogIndex, logIndex } from "../base/ids.ts";
import {
  WAL_BATCH_BYTES,
  WAL_ENTRY_BYTES_MAX,
  WAL_HARD_BYTES,
  WAL_IDLE_MS,
  WAL_PENDING_BYTES_MAX,
  WAL_RETRY_MS,
  WAL_SEGMENT_BYTES,
} from "../base/limits.ts";
import type { Ledger } from "../wal/ledger.ts";
import { segmentName } from "../wal/segment.ts";
import { LogImages } from "./log_images.ts";
import type { DurablePoint, LogMarkKeeper } from "./log_mark_keeper.ts";
import { LogWriter, type WriterStart } from "./log_writer.ts";
import { Relocator } from "./relocator.ts";
import type {
  ImagePoint,
  LogDone,
  LogEntry,
  LoggedHardState,
  SegmentHolder,
  SharedLog,
  SharedLogOptions,
  SharedLogStats,
} from "./shared_log.ts";
import type { StorageDriver } from "./storage_driver.ts";
import { SubmittedView } from "./submitted_view.ts";

/** Size of an entry in a record beyond its data. */
const ENTRY_OVERHEAD_BYTES = 32;

/** The state from which the engine continues. */
export interface EngineStart extends WriterStart {
  /** The keeper of the log's mark; `undefined` if none is kept. */
  readonly mark: LogMarkKeeper | undefined;
  readonly ledger: Ledger;
  /** Positions of the segments on disk, ascending. */
  readonly segments: readonly number[];
}

/** The log in use. */
export class LogEngine implements SharedLog {
  readonly generation: number;
  readonly #mark: LogMarkKeeper | undefined;
  readonly #options: SharedLogOptions;
  readonly #driver: StorageDriver;
  readonly #ledger: Ledger;
  readonly #writer: LogWriter;
  readonly #images: LogImages;
  readonly #relocator: Relocator;
  readonly #submitted: SubmittedView;
  readonly #segments: number[];
  readonly #hardBytes: number;
  #freeing = false;
  #closing = false;

  constructor(options: SharedLogOptions, driver: StorageDriver, start: EngineStart) {
    this.#options = options;
    this.#driver = driver;
    this.generation = start.generation;
    this.#mark = start.mark;
    this.#ledger = start.ledger;
    this.#submitted = new SubmittedView(start.ledger);
    this.#segments = [...start.segments];
    const { limits = {}, clock, scheduler, handlers } = options;
    this.#hardBytes = limits.hardBytes ?? WAL_HARD_BYTES;
    const ledger = this.#ledger;
    this.#writer = new LogWriter({
      driver,
      clock,
      scheduler,
      start,
      segmentBytes: limits.segmentBytes ?? WAL_SEGMENT_BYTES,
      idleMs: limits.idleMs ?? WAL_IDLE_MS,
      owner: {
        segmentHeader: (batch, number) =>
          void batch.segmentHeader(number, this.#images.numberMax, ledger.states()),
        segmentBegun: (position) => {
          this.#segments.push(position);
          this.#free();
        },
        rolledBack: () => this.#submitted.rollBack(),
        synced: (durationMs, durable) => {
          this.#free();
          this.#mark?.advance(durable);
          handlers.synced?.(durationMs);
        },
        unmarked: (error) => handlers.unmarked?.(error),
        writable: (writable) => handlers.writable?.(writable),
        poisoned: (error) => handlers.poisoned(error),
        fullness: () => this.#diskBytes / this.#hardBytes,
      },
    });
    const { logId } = start;
    const [submitted, writer] = [this.#submitted, this.#writer];
    const { imageWriteBytes } = limits;
    this.#images = new LogImages({ driver, ledger, submitted, writer, logId, imageWriteBytes });
    const isDoomed = (group: number, index: number) => submitted.isDoomed(group, index);
    this.#relocator = new Relocator(driver, ledger, scheduler, isDoomed, (record, done) => {
      const refusal = this.#writer.refusal();
      if (refusal !== undefined) return refusal;
      const { groupId, first, origin, entries } = record;
      const bytes = this.#writer.batch().relocate(groupId, first, origin, entries);
      this.#writer.submit({
        bytes,
        durable: (_sequence, segment) => {
          ledger.relocate(groupId, first, entries.length, { origin, segment, bytes });
          done(undefined);
        },
        failed: done,
      });
      return undefined;
    });
  }

  /** Point up to which the log is durable. */
  get durable(): DurablePoint {
    return this.#writer.durable;
  }

  /** Creates the first segment of a new log. */
  begin(done: LogDone): void {
    this.#writer.begin(done);
  }

  append(
    group: GroupId,
    firstIndex: LogIndex,
    entries: readonly LogEntry[],
    done: LogDone,
  ): RegistryError | undefined {
    if (entries.length === 0) throw new RangeError("Append must have at least one entry: it has 0");
    let bytes = 0;
    for (const { data } of entries) {
      if (data.length > WAL_ENTRY_BYTES_MAX) return tooLarge(data.length);
      bytes += data.length;
    }
    const truncates = firstIndex <= this.#submitted.last(group);
    const refusal = this.#admit(group, firstIndex, entries.length, bytes);
    if (refusal !== undefined) return refusal;
    let lo = 0;
    while (lo < entries.length) {
      let hi = lo + 1;
      let part = entries[lo]!.data.length;
      while (hi < entries.length && part <= WAL_BATCH_BYTES / 2) {
        part += entries[hi++]!.data.length + ENTRY_OVERHEAD_BYTES;
      }
      const whole = lo === 0 && hi === entries.length;
      const size = this.#writer.batch().append(
        group,
        firstIndex + lo,
        whole ? entries : entries.slice(lo, hi),
      );
      this.#submitAppend({
        group,
        first: firstIndex + lo,
        count: hi - lo,
        bytes: size,
        truncates: truncates && lo === 0,
        done: hi === entries.length ? done : undefined,
      });
      lo = hi;
    }
    return undefined;
  }

  appendOne(
    group: GroupId,
    index: LogIndex,
    entry: LogEntry,
    done: LogDone,
  ): RegistryError | undefined {
    const { length } = entry.data;
    if (length > WAL_ENTRY_BYTES_MAX) return tooLarge(length);
    const truncates = index <= this.#submitted.last(group);
    const refusal = this.#admit(group, index, 1, length);
    if (refusal !== undefined) return refusal;
    const bytes = this.#writer.batch().appendOne(group, index, entry);
    this.#submitAppend({ group, first: index, count: 1, bytes, truncates, done });
    return undefined;
  }

  saveHardState(group: GroupId, state: LoggedHardState, done?: LogDone): RegistryError | undefined {
    const refusal = this.#refusal(0);
    if (refusal !== undefined) return refusal;
    const { term, vote, commit } = state;
    const bytes = this.#writer.batch().hardState({ groupId: group, term, vote, commit });
    this.#writer.submit({
      bytes,
      durable: () => {
        this.#ledger.hardState(group, state);
        done?.(undefined);
      },
      failed: (error) => done?.(error),
    });
    return undefined;
  }

  writeImage(
    group: GroupId,
    point: ImagePoint,
    chunks: Iterable<Uint8Array>,
    done: LogDone,
  ): RegistryError | undefined {
    const image = this.#submitted.imageIndex(group);
    const last = this.#submitted.acknowledged(group);
    assert(
      point.index > 0 && point.index >= image && point.index <= last,
      `Image of group ${group} must be in [${image}, ${last}]: its index is ${point.index}`,
    );
    const refusal = this.#refusalOfState();
    if (refusal !== undefined) return refusal;
    return this.#images.write(group, point, chunks, { installs: false, done });
  }

  installImage(
    group: GroupId,
    point: ImagePoint,
    chunks: Iterable<Uint8Array>,
    done: LogDone,
  ): RegistryError | undefined {
    const image = this.#submitted.imageIndex(group);
    assert(
      point.index > 0 && point.index >= image,
      `Image for group ${group} must not be before ${image}: its index is ${point.index}`,
    );
    const refusal = this.#refusalOfState();
    if (refusal !== undefined) return refusal;
    return this.#images.write(group, point, chunks, { installs: true, done });
  }

  forget(group: GroupId, done: LogDone): RegistryError | undefined {
    const refusal = this.#refusal(0);
    if (refusal !== undefined) return refusal;
    this.#images.cancel(group);
    const bytes = this.#writer.batch().forget(group);
    this.#submitted.beginForget(group);
    this.#writer.submit({
      bytes,
      durable: () => {
        const image = this.#ledger.groups.get(group)?.image;
        this.#ledger.forget(group);
        this.#submitted.endForget(group);
        this.#images.remove(image);
        done(undefined);
      },
      failed: (error) => {
        this.#submitted.endForget(group);
        done(error);
      },
    });
    return undefined;
  }

  lastIndex(group: GroupId): LogIndex {
    return logIndex(this.#ledger.groups.get(group)?.lastIndex ?? 0);
  }

  imageIndex(group: GroupId): LogIndex {
    return logIndex(this.#ledger.groups.get(group)?.imageIndex ?? 0);
  }

  live(group: GroupId): { readonly entries: number; readonly bytes: number } {
    const live = { entries: 0, bytes: 0 };
    for (const { first, last, bytes } of this.#ledger.groups.get(group)?.runs ?? []) {
      live.entries += last - first + 1;
      live.bytes += bytes;
    }
    return live;
  }

  oldestHolders(): readonly SegmentHolder[] {
    if (this.#segments.length < 2) return [];
    return this.#ledger.holders(this.#segments[0]!).map(({ groupId, first, last, bytes }) => ({
      group: groupId as GroupId,
      firstIndex: logIndex(first),
      lastIndex: logIndex(last),
      bytes,
    }));
  }

  relocateOldest(groups: ReadonlySet<GroupId>, done: LogDone): RegistryError | undefined {
    const refusal = this.#refusalOfState();
    if (refusal !== undefined) return refusal;
    const [position, end] = this.#segments;
    if (position === undefined || end === undefined) {
      this.#options.scheduler.nextTurn(() => done(undefined));
      return undefined;
    }
    this.#relocator.run(
      { file: segmentName(position), position, size: end - position },
      groups,
      done,
    );
    return undefined;
  }

  stats(): SharedLogStats {
    const live = this.#ledger.total();
    const { writtenBytes, batches, syncs, syncMsTotal, syncMsMax } = this.#writer.stats;
    return {
      writtenBytes,
      imageBytesWritten: this.#images.bytesWritten,
      imagesWritten: this.#images.imagesWritten,
      batches,
      syncs,
      syncMsTotal,
      syncMsMax,
      segments: this.#segments.length,
      segmentBytes: this.#diskBytes,
      liveBytes: Math.round(live.bytes),
      liveEntries: live.entries,
      pendingBytes: this.#writer.pendingBytes,
      oldestPendingMs: this.#writer.oldestPendingMs,
      writable: this.#writer.isWritable,
      poisoned: this.#writer.isPoisoned,
    };
  }

  close(done: LogDone): void {
    this.#closing = true;
    this.#relocator.stop();
    this.#images.drain(() =>
      this.#writer.drain(() => {
        this.#writer.stop();
        this.#driver.close();
        const end = () => this.#options.scheduler.nextTurn(() => done(undefined));
        if (this.#mark === undefined) return end();
        this.#mark.close(this.#writer.isPoisoned ? undefined : this.#writer.durable, end);
      })
    );
  }

  get #diskBytes(): number {
    return this.#writer.end - (this.#segments[0] ?? this.#writer.end);
  }

  #refusalOfState(): RegistryError | undefined {
    if (this.#closing) return new RegistryError("shutting_down", "Log is being closed");
    return this.#writer.refusal();
  }

  #refusal(bytes: number): RegistryError | undefined {
    const refusal = this.#refusalOfState();
    if (refusal !== undefined) return refusal;
    const pending = this.#writer.pendingBytes + bytes;
    if (pending > WAL_PENDING_BYTES_MAX) {
      return overloaded(`${pending} bytes wait for the disk, at most ${WAL_PENDING_BYTES_MAX} may`);
    }
    return undefined;
  }

  #admit(group: number, first: number, count: number, bytes: number): RegistryError | undefined {
    const refusal = this.#refusal(bytes);
    if (refusal !== undefined) return refusal;
    const disk = this.#diskBytes + this.#writer.pendingBytes + bytes;
    if (disk > this.#hardBytes) {
      return overloaded(`the log would take ${disk} bytes, at most ${this.#hardBytes} are allowed`);
    }
    const last = this.#submitted.last(group);
    const image = this.#submitted.imageIndex(group);
    assert(
      first > image && first <= last + 1,
      () => `Append to group ${group} must begin in (${image}, ${last + 1}]: it begins at ${first}`,
    );
    this.#images.checkAppend(group, first);
    this.#submitted.append(group, first + count - 1);
    return undefined;
  }

  #submitAppend(
    { group, first, count, bytes, truncates, done }: {
      readonly group: number;
      readonly first: number;
      readonly count: number;
      readonly bytes: number;
      readonly truncates: boolean;
      readonly done: LogDone | undefined;
    },
  ): void {
    const ledger = this.#ledger;
    if (truncates) this.#submitted.beginEnding(group, first);
    this.#writer.submit({
      bytes,
      durable: (sequence, segment) => {
        ledger.append(group, first, count, { sequence, segment, bytes });
        if (truncates) this.#submitted.endEnding(group);
        done?.(undefined);
      },
      failed: (error) => {
        if (truncates) this.#submitted.endEnding(group);
        done?.(error);
      },
    });
  }

  /** Removes segments, starting with the oldest, while nothing in them is live. */
  #free(): void {
    const oldest = this.#segments[0];
    if (this.#freeing || oldest === undefined || this.#segments.length < 2) return;
    if (this.#writer.isPoisoned || this.#ledger.tally(oldest).entries > 0) return;
    this.#freeing = true;
    this.#segments.shift();
    // One at a time, each made durable, so that a crash never leaves an older segment without a
    // newer one.
    this.#driver.submit({ kind: "remove", file: segmentName(oldest) }, () => {
      this.#driver.submit({ kind: "syncFolder" }, (failure) => {
        this.#freeing = false;
        if (failure !== undefined) this.#writer.poison(failure);
        else this.#free();
      });
    });
  }
}

function tooLarge(bytes: number): RegistryError {
  return new RegistryError(
    "too_large",
    `Entry must have at most ${WAL_ENTRY_BYTES_MAX} bytes: it has ${bytes}`,
  );
}

function overloaded(why: string): RegistryError {
  return new RegistryError("overloaded", `Cannot take more as ${why}`, {
    retryAfterMs: WAL_RETRY_MS,
  });
}
