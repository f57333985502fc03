/**
 * Opening a log: recovery, from the bytes in the folder to an engine that continues where they end.
 *
 * In this order: sync every segment and the folder, so that what is read is what a later crash
 * would leave; scan all segments (scanner.ts) and build the ledger; refuse corruption, cut what was
 * never acknowledged; rewrite what no sync is known to have written (tail_rewriter.ts); hand out
 * hard states, images, and in a second pass over the segments the live entries; remove unreferenced
 * files. Nothing is changed on disk before the log is found valid.
 *
 * A log that ends before the point recorded in its marks (log_mark.ts) lost acknowledged data: it is
 * refused, or, if the operator accepts the loss, opened under a greater generation.
 *
 * Limitation: after a power cut the tail mark may be lost. The loss, or corruption, of data synced
 * after the last write of the mark beside the log and with no watermark above it is then not
 * detected: it looks like a batch that never reached the disk, and is cut.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { generationOfTerm, type GroupId, type LogIndex, type Term } from "../base/ids.ts";
import { WAL_PAGE_BYTES } from "../base/limits.ts";
import { forEachEntryRecord } from "../wal/entry_record.ts";
import { Ledger } from "../wal/ledger.ts";
import { LedgerFeed } from "../wal/ledger_feed.ts";
import { type LogMark, lostError, MARK_FILE, missingOfAny, TAIL_FILE } from "../wal/log_mark.ts";
import { LogScanner, type ScanVerdict } from "../wal/scanner.ts";
import { imageNumber, pageAlign, segmentName, TEMPORARY_SUFFIX } from "../wal/segment.ts";
import { EntryHandOut } from "./entry_hand_out.ts";
import { readMarks } from "./found_marks.ts";
import { ImageReader } from "./image_reader.ts";
import { LogEngine } from "./log_engine.ts";
import { type DurablePoint, LogMarkKeeper, unmarkedError } from "./log_mark_keeper.ts";
import { MarkFile } from "./mark_file.ts";
import { endOf, extentsOf, type SegmentExtent, SegmentReader } from "./segment_reader.ts";
import type { SharedLogOptions } from "./shared_log.ts";
import type { StorageFailure, StorageOperation, StoredFile } from "./storage.ts";
import { StorageDriver } from "./storage_driver.ts";
import { rewriteTail } from "./tail_rewriter.ts";

const LOG_ID_BYTES = 16;

/**
 * Opens the log in the storage's folder, or creates one if there is none. Findings are reported to
 * `options.handlers`, then `ready` or `failed`, in later turns. After `failed` the storage is
 * closed.
 *
 * ```ts
 * openSharedLog({
 *   storage: openFileStorage("data/log", world.scheduler),
 *   markStorage: openFileStorage("data/log-mark"),
 *   clock: world.monotonic,
 *   scheduler: world.scheduler,
 *   entropy: world.entropy,
 *   handlers: { ready: (log) => start(log), failed: (error) => stop(error), ...recovery },
 * });
 * ```
 */
export function openSharedLog(options: SharedLogOptions): void {
  new Opening(options).begin();
}

class Opening {
  readonly #options: SharedLogOptions;
  readonly #driver: StorageDriver;
  readonly #ledger = new Ledger();
  readonly #feed = new LedgerFeed(this.#ledger);
  #files: readonly StoredFile[] = [];
  #extents: SegmentExtent[] = [];
  #logId: Uint8Array = new Uint8Array(LOG_ID_BYTES);
  readonly #entries: EntryHandOut;
  readonly #keeper: LogMarkKeeper | undefined;
  readonly #tail: MarkFile;
  /** The log's marks. */
  #marks: readonly LogMark[] = [];
  /** The generation of the mark beside the log. */
  #markGeneration: number | undefined;
  /** The greatest generation found. */
  #generation = 1;
  /** Descriptions of accepted losses. */
  readonly #lost: string[] = [];

  constructor(options: SharedLogOptions) {
    this.#options = options;
    this.#driver = new StorageDriver(options.storage);
    const { markStorage: storage, clock, scheduler, handlers } = options;
    this.#tail = new MarkFile(this.#driver, TAIL_FILE);
    this.#entries = new EntryHandOut({
      ledger: this.#ledger,
      onEntry: (group, index, term, kind, data) => {
        this.#seeTerm(term);
        handlers.entry(group, index, term, kind, data);
      },
      gapError: (what) => corrupt(segmentName(this.#extents[0]!.position), 0, what),
    });
    if (storage === undefined) return;
    const onFailed = (error: RegistryError) => handlers.unmarked?.(error);
    this.#keeper = new LogMarkKeeper({ storage, clock, scheduler, onFailed });
  }

  begin(): void {
    readMarks({ keeper: this.#keeper, tail: this.#tail }, (found) => {
      if ("kind" in found) return this.#failStorage(found);
      this.#marks = found.marks;
      this.#markGeneration = found.generation;
      this.#generation = Math.max(1, ...found.marks.map(({ generation }) => generation));
      const what = "no checksum of the log's mark holds, so that a loss would go undetected";
      if (!found.isDamaged || this.#lose(MARK_FILE, 0, what)) this.#list();
    });
  }

  #list(): void {
    this.#driver.submit({ kind: "list" }, (failure, { files }) => {
      if (failure !== undefined) return this.#failStorage(failure);
      this.#files = files;
      this.#extents = extentsOf(files);
      if (this.#extents.length === 0) this.#found();
      else this.#syncAll();
    });
  }

  /** Returns true if the operator accepts the loss of `what`; otherwise fails the opening. */
  #lose(file: string, offset: number, what: string): boolean {
    if (this.#options.acceptDataLoss === true) this.#lost.push(what);
    else this.#fail(lostError({ file, offset, what }));
    return this.#lost.length > 0;
  }

  /** Creates a log in a folder without one, unless there was a log that is gone. */
  #found(): void {
    const images = this.#files.filter(({ name }) => imageNumber(name) !== undefined);
    if (images.length > 0 && this.#lost.length === 0) {
      const what = "there are images but the log that names them is gone";
      if (!this.#lose(images[0]!.name, 0, what)) return;
    }
    const gone = missingOfAny(this.#marks);
    if (gone !== undefined && this.#lost.length === 0) {
      const what = `the whole log is gone: ${gone}`;
      if (!this.#lose(segmentName(0), 0, what)) return;
    }
    const leftover = [...this.#extents.map(({ file }) => file), ...images.map(({ name }) => name)]
      .map((file): StorageOperation => ({ kind: "remove", file }));
    this.#each([...leftover, ...this.#temporaries()], () => {
      this.#options.entropy.fill(this.#logId);
      const engine = new LogEngine(this.#options, this.#driver, {
        ledger: this.#ledger,
        segments: [],
        logId: this.#logId,
        sequence: 1,
        position: 0,
        segment: undefined,
        segmentNumber: 0,
        generation: this.#raised(),
        tail: this.#tail,
        mark: this.#keeper,
      });
      engine.begin((error) => {
        if (error !== undefined) this.#fail(error);
        else this.#writeMarks(engine.durable, () => engine);
      });
    });
  }

  #syncAll(): void {
    const syncs = this.#extents.map(({ file }): StorageOperation => ({ kind: "sync", file }));
    this.#each([...syncs, { kind: "syncFolder" }], () => this.#scan());
  }

  #scan(): void {
    const scanner = new LogScanner((record) => {
      if (this.#feed.take(record)) this.#entries.keep(this.#feed.entries, record.segment);
    });
    let current: SegmentExtent | undefined;
    new SegmentReader(this.#driver, this.#extents, {
      block: (block) => {
        if (block.extent !== current) {
          current = block.extent;
          scanner.beginSegment(current.position);
        }
        return scanner.scan(block.bytes, block.view, block);
      },
      end: (failure, thrown) => {
        if (failure !== undefined) this.#failStorage(failure);
        else if (thrown !== undefined) this.#fail(toRegistryError(thrown));
        else this.#guard(() => this.#judge(scanner.finish()));
      },
    }).start();
  }

  #judge(verdict: ScanVerdict): void {
    const { state, fault, end, watermark } = verdict;
    const beginning = this.#extents[0]!.position;
    const images = this.#files.some(({ name }) => imageNumber(name) !== undefined);
    if (state === "empty" && beginning === 0 && !images) return this.#found();
    const segment = fault?.segment ?? beginning;
    const offset = (fault?.position ?? end) - segment;
    const reason = fault?.reason ?? "no record of a log is there";
    if (state === "empty" || state === "damaged") {
      const below = state === "empty" ? "" : `; all below position ${watermark} was synced once`;
      if (!this.#lose(segmentName(segment), offset, reason + below)) return;
      if (state === "empty") return this.#found();
    } else {
      const missing = missingOfAny(this.#marks, verdict);
      const [file, at] = endOf(this.#extents, end);
      if (missing !== undefined && !this.#lose(file, at, missing)) return;
    }
    for (const group of this.#ledger.groups.values()) {
      const gap = group.firstGap();
      if (gap === 0) continue;
      const what = `entry ${gap} of group ${group.groupId} is missing in the log`;
      return this.#fail(corrupt(segmentName(beginning), 0, what));
    }
    this.#logId = verdict.logId ?? this.#logId;
    if (state === "cut") {
      this.#options.handlers.cut?.({ file: segmentName(segment), offset, watermark, reason });
    }
    this.#cut(
      state === "damaged"
        ? { ...verdict, state: "cut", watermark: Math.min(watermark, end) }
        : verdict,
    );
  }

  /**
   * Removes everything after the end of the valid log: later segments whole, then the rest of this
   * one.
   */
  #cut(verdict: ScanVerdict): void {
    const { end, state } = verdict;
    const operations: StorageOperation[] = [];
    // A segment whose creation was interrupted has no header yet; it is created again.
    while (this.#extents.at(-1)!.position >= end) {
      operations.push({ kind: "remove", file: this.#extents.pop()!.file });
    }
    const tail = this.#extents.pop()!;
    const { file } = tail;
    // The next batch, or segment, begins at the next page: zeros up to there belong to the log.
    const whole = pageAlign(end) - tail.position;
    if (state === "cut") {
      operations.push({ kind: "truncate", file, size: end - tail.position });
    }
    if (state === "cut" || tail.size < whole) {
      operations.push({ kind: "truncate", file, size: whole });
    }
    const size = state === "cut" ? whole : Math.max(tail.size, whole);
    if (operations.length > 0) operations.push({ kind: "syncFolder" });
    this.#extents.push({ ...tail, size });
    const synced = Math.max(0, verdict.watermark - tail.position);
    const from = synced - synced % WAL_PAGE_BYTES;
    this.#each(operations, () =>
      rewriteTail(this.#driver, { file, from, to: whole }, (failure) => {
        if (failure !== undefined) this.#failStorage(failure);
        else this.#guard(() => this.#handOut(verdict));
      }));
  }

  #handOut(verdict: ScanVerdict): void {
    const { handlers } = this.#options;
    for (const { groupId, hardState } of this.#ledger.groups.values()) {
      if (hardState === undefined) continue;
      const { term, vote, commit } = hardState;
      this.#seeTerm(term);
      handlers.hardState(groupId as GroupId, {
        term: term as Term,
        vote,
        commit: commit as LogIndex,
      });
    }
    new ImageReader(this.#driver, this.#logId, this.#ledger.groups.values(), {
      start: (groupId, { index, term, configuration }) => {
        this.#seeTerm(term);
        const point = { index: index as LogIndex, term: term as Term, configuration };
        handlers.imageStart(groupId as GroupId, point);
      },
      chunk: (groupId, data) => handlers.imageChunk(groupId as GroupId, data),
      finish: (groupId) => handlers.imageEnd(groupId as GroupId),
      end: (error) => {
        if (error !== undefined) return this.#fail(toRegistryError(error));
        this.#guard(() => this.#handOutEntries(verdict));
      },
    }).start();
  }

  #handOutEntries(verdict: ScanVerdict): void {
    this.#entries.handOutKept();
    const live = this.#extents.filter(({ position }) => this.#ledger.tally(position).entries > 0)
      .map((extent) => ({ ...extent, size: Math.min(extent.size, verdict.end - extent.position) }));
    new SegmentReader(this.#driver, live, {
      block: (block) =>
        forEachEntryRecord(block, (record) => {
          if (!record.relocated) this.#entries.handOutRecord(record, block.extent.position);
        }),
      end: (failure, thrown) => {
        if (failure !== undefined) this.#failStorage(failure);
        else if (thrown !== undefined) this.#fail(toRegistryError(thrown));
        else this.#guard(() => this.#finish(verdict));
      },
    }).start();
  }

  #finish(verdict: ScanVerdict): void {
    const { end, sequence } = verdict;
    const active = this.#extents.at(-1)!;
    const named = new Set([...this.#ledger.groups.values()].map(({ image }) => image?.number));
    const unnamed = this.#files.filter(({ name }) => {
      const number = imageNumber(name);
      if (number === undefined) return false;
      // A number is never reused, not even that of an unreferenced image.
      this.#ledger.imageNumberMax = Math.max(this.#ledger.imageNumberMax, number);
      return !named.has(number);
    }).map(({ name }): StorageOperation => ({ kind: "remove", file: name }));
    const position = pageAlign(end);
    const engine = () =>
      new LogEngine(this.#options, this.#driver, {
        ledger: this.#ledger,
        segments: this.#extents.map((extent) => extent.position),
        logId: this.#logId,
        sequence: sequence + 1,
        position,
        segment: { position: active.position, allocated: active.position + active.size },
        segmentNumber: this.#feed.segmentNumber,
        generation: this.#raised(),
        tail: this.#tail,
        mark: this.#keeper,
      });
    this.#each(
      [...unnamed, ...this.#temporaries()],
      () => this.#writeMarks({ sequence, position }, engine),
    );
  }

  #seeTerm(term: number): void {
    this.#generation = Math.max(this.#generation, generationOfTerm(term));
  }

  /** Returns the generation to continue under: above all earlier ones if data was lost. */
  #raised(): number {
    return this.#lost.length > 0 ? this.#generation + 1 : this.#generation;
  }

  /**
   * Writes the tail mark, and the one beside the log if it is missing or of another generation;
   * then reports the log as ready. The engine, which writes a watermark by itself, exists only then,
   * because writes of one mark file must not overlap.
   */
  #writeMarks(durable: DurablePoint, engine: () => LogEngine): void {
    const generation = this.#raised();
    const isLost = this.#lost.length > 0;
    if (isLost) this.#options.handlers.lost?.(this.#lost.join("; "), generation);
    const mark = { logId: this.#logId, ...durable, generation, closed: false };
    // After a loss, no mark may be left that claims what was lost.
    const done = (next: () => void) => (failure: StorageFailure | undefined) => {
      if (failure === undefined) return next();
      // A generation that is not recorded would be used again.
      if (isLost) return this.#failStorage(failure);
      this.#options.handlers.unmarked?.(unmarkedError(failure));
      next();
    };
    const ready = () => this.#guard(() => this.#options.handlers.ready(engine()));
    const markBeside = () => {
      const isCurrent = !isLost && this.#markGeneration === generation;
      if (this.#keeper === undefined || isCurrent) ready();
      else this.#keeper.put(mark, done(ready));
    };
    if (isLost) this.#tail.replace(mark, done(markBeside));
    else this.#tail.write(mark, done(markBeside));
  }

  #temporaries(): StorageOperation[] {
    return this.#files.filter(({ name }) => name.endsWith(TEMPORARY_SUFFIX))
      .map(({ name }) => ({ kind: "remove", file: name }));
  }

  /** Performs operations one after another; any failure ends the opening. */
  #each(operations: readonly StorageOperation[], done: () => void, from = 0): void {
    const operation = operations[from];
    if (operation === undefined) return this.#guard(done);
    this.#driver.submit(operation, (failure) => {
      if (failure !== undefined) this.#failStorage(failure);
      else this.#each(operations, done, from + 1);
    });
  }

  /** Runs code that may call a handler: if it throws, the opening has failed. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fail(toRegistryError(error));
    }
  }

  #failStorage({ message }: StorageFailure): void {
    this.#fail(new RegistryError("storage_unavailable", message));
  }

  #fail(error: RegistryError): void {
    this.#driver.close();
    this.#keeper?.close(undefined, () => {});
    this.#options.handlers.failed(error);
  }
}

function corrupt(file: string, offset: number, what: string): RegistryError {
  return new RegistryError(
    "corrupt",
    `Cannot open the log as ${file} is damaged at offset ${offset}: ${what}. Restore the folder ` +
      `from a copy, or the file from a sound disk`,
    { field: file },
  );
}
