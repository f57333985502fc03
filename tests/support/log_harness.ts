/**
 * A shared log on a memory disk in a manual world, which records the results of recovery and the
 * acknowledgements.
 */
import { defined } from "../../src/base/assert.ts";
import type { RegistryError } from "../../src/base/errors.ts";
import { groupId, type LogIndex, logIndex, type Term, term } from "../../src/base/ids.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import { openSharedLog } from "../../src/storage/open_shared_log.ts";
import type {
  CutNotice,
  LogEntry,
  LoggedHardState,
  SharedLog,
  SharedLogLimits,
} from "../../src/storage/shared_log.ts";
import { ManualWorld } from "./manual_world.ts";

/** An entry as recovered. */
export interface RecoveredEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: number;
  readonly text: string;
}

/** The recovered state of a group. */
export interface RecoveredGroup {
  hardState: LoggedHardState | undefined;
  imageIndex: number;
  image: string;
  readonly entries: RecoveredEntry[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Returns an entry that holds a text. */
export function textEntry(text: string, ofTerm = 1): LogEntry {
  return { term: term(ofTerm), kind: 0, data: encoder.encode(text) };
}

/** One disk, and the log that is open on it. */
export class LogHarness {
  readonly disk = new MemoryDisk();
  /** The disk that holds the log's mark. */
  readonly markDisk = new MemoryDisk();
  acceptDataLoss = false;
  /** Losses that were accepted, at each opening. */
  lost: string[] = [];
  /** Errors that were reported because the mark could not be written. */
  readonly unmarked: RegistryError[] = [];
  world = new ManualWorld();
  log: SharedLog | undefined;
  groups = new Map<number, RecoveredGroup>();
  error: RegistryError | undefined;
  cuts: CutNotice[] = [];
  poison: RegistryError | undefined;
  readonly writable: boolean[] = [];
  /** Answers in the order in which they arrived. */
  readonly answers: { readonly name: string; readonly error: RegistryError | undefined }[] = [];
  readonly #limits: SharedLogLimits;
  /** Called after each sync of the log. */
  onSynced = (): void => {};
  #opened = 0;

  constructor(limits: SharedLogLimits = {}) {
    this.#limits = limits;
  }

  group(id: number): RecoveredGroup {
    let group = this.groups.get(id);
    if (group === undefined) {
      group = { hardState: undefined, imageIndex: 0, image: "", entries: [] };
      this.groups.set(id, group);
    }
    return group;
  }

  /** Returns the texts of the recovered entries of a group. */
  texts(id: number): string[] {
    return this.group(id).entries.map(({ text }) => text);
  }

  /** Begins to open the log. */
  start(): void {
    this.groups = new Map();
    this.error = this.poison = this.log = undefined;
    this.cuts = [];
    this.lost = [];
    openSharedLog({
      storage: this.disk.open(this.world),
      markStorage: this.markDisk.open(this.world),
      acceptDataLoss: this.acceptDataLoss,
      clock: this.world,
      scheduler: this.world,
      entropy: new SeededEntropy(++this.#opened),
      limits: this.#limits,
      handlers: {
        hardState: (id, state) => this.group(id).hardState = state,
        imageStart: (id, point) => {
          this.group(id).imageIndex = point.index;
          this.group(id).image = "";
        },
        imageChunk: (id, chunk) => this.group(id).image += decoder.decode(chunk),
        imageEnd: () => {},
        entry: (id, index, ofTerm, kind, data) =>
          this.group(id).entries.push({ index, term: ofTerm, kind, text: decoder.decode(data) }),
        ready: (log) => this.log = log,
        failed: (error) => this.error = error,
        cut: (notice) => this.cuts.push(notice),
        unmarked: (error) => this.unmarked.push(error),
        lost: (what) => this.lost.push(what),
        poisoned: (error) => this.poison = error,
        writable: (writable) => this.writable.push(writable),
        synced: () => this.onSynced(),
      },
    });
  }

  /** Opens the log and waits for it. */
  open(): SharedLog {
    this.start();
    this.world.settle();
    if (this.error !== undefined) throw this.error;
    return defined(this.log, "Log must be ready when all turns have run");
  }

  /** Opens the log, which must be refused, and returns the error. */
  refused(): RegistryError {
    this.start();
    this.world.settle();
    return defined(this.error, "Log must be refused: it was opened");
  }

  /** Submits one entry named by its text; the answer is recorded under that name. */
  put(id: number, index: number, text: string, ofTerm = 1): RegistryError | undefined {
    return defined(this.log, "Log must be open").appendOne(
      groupId(id),
      logIndex(index) as LogIndex,
      textEntry(text, ofTerm as Term),
      (error) => this.answers.push({ name: text, error }),
    );
  }

  /** Names answered with success, in order. */
  get acknowledged(): string[] {
    return this.answers.filter(({ error }) => error === undefined).map(({ name }) => name);
  }

  /** Closes the log as in an orderly end of the process. */
  close(): void {
    let closed = false;
    this.log?.close(() => closed = true);
    this.world.settle();
    if (!closed) throw new Error("Log must be closed when all turns have run");
  }

  /**
   * Kills the process; its writes stay in the page cache. `seed` decides about pending operations.
   */
  kill(seed?: number): void {
    this.world.stop();
    this.world = new ManualWorld();
    this.disk.kill(seed === undefined ? undefined : new SeededEntropy(seed));
    this.markDisk.kill(seed === undefined ? undefined : new SeededEntropy(~seed));
    this.log = undefined;
  }

  /** Kills the process and the power; `seed` decides which unsynced data survives. */
  crash(seed?: number): void {
    this.world.stop();
    this.world = new ManualWorld();
    this.disk.crash(seed === undefined ? undefined : new SeededEntropy(seed));
    this.markDisk.crash(seed === undefined ? undefined : new SeededEntropy(~seed));
    this.log = undefined;
  }
}
