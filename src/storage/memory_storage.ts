/**
 * Storage in memory: a disk that loses what was not synced, for simulation and tests.
 *
 * A {@link MemoryDisk} outlives the storages opened on it. Its page cache and its durable content
 * are separate. A killed process leaves the cache to the next one, which then sees data that a
 * power cut may still take; a power cut leaves an arbitrary part of everything that is not durable.
 * Operations take as long as the owner of the disk says, and fail when it says so. All choices come
 * from the entropy passed in, so a seed replays them.
 */
import { RegistryError } from "../base/errors.ts";
import type { Entropy, Scheduler, Timer } from "../base/world.ts";
import { type CommitOperation, type CommitStep, commitStep, stepAfter } from "./commit.ts";
import { MemoryFile } from "./memory_file.ts";
import { MemoryFolder, type Performed, type SyncCapture } from "./memory_folder.ts";
import type {
  SingleOperation,
  Storage,
  StorageFailureKind,
  StorageOperation,
  StoredFile,
  Ticket,
} from "./storage.ts";
import { TicketedStorage } from "./ticketed_storage.ts";

/**
 * The injected outcome of an operation: a failure of that kind, `hold` until
 * {@link MemoryDisk.releaseHeld}, or `undefined` for success. A write that fails for lack of
 * space still writes its first half; a failed sync leaves its pages in the cache, clean, and off
 * the disk.
 */
export type InjectedFault = "no_space" | "io" | "hold" | undefined;

/** Operations that change names and sizes, atomically. */
const CHANGES: ReadonlySet<SingleOperation["kind"]> = new Set(["rename", "remove", "truncate"]);

/** A disk with one folder. */
export class MemoryDisk {
  /** Called for each operation, or step of a commit, when it is performed; set by tests. */
  intercept: (operation: SingleOperation) => InjectedFault = () => undefined;
  /**
   * Returns the duration of an operation from its submission, ms; Infinity holds it until
   * {@link MemoryDisk.releaseHeld}. With 0 all waiting operations are performed in the next turn,
   * in order.
   */
  delayMs: (operation: SingleOperation) => number = () => 0;
  /** When set, operations that wait together are performed in an order drawn from it. */
  reorder: Entropy | undefined;
  /** Unit that reaches the disk atomically: 512 or 4,096 bytes. */
  sectorBytes = 512;
  /**
   * When false, a storage continues after a failed sync, as a bare kernel does, and reports success
   * of the next one. A user that follows the contract does not notice the difference.
   */
  poisons = true;
  #folder = new MemoryFolder();
  #open: MemoryStorage | undefined;

  /** Capacity for data, bytes. */
  get capacityBytes(): number {
    return this.#folder.capacityBytes;
  }

  set capacityBytes(capacityBytes: number) {
    this.#folder.capacityBytes = capacityBytes;
  }

  /** Bytes allocated to data. */
  get usedBytes(): number {
    return this.#folder.usedBytes;
  }

  /**
   * Opens the folder.
   *
   * @throws RegistryError `locked` while another storage has it open.
   */
  open(scheduler: Scheduler): Storage {
    if (this.#open !== undefined) {
      throw new RegistryError("locked", "Cannot open the memory disk as another storage uses it");
    }
    this.#open = new MemoryStorage(this, scheduler, () => this.#open = undefined);
    return this.#open;
  }

  /** Performs held operations in a later turn. */
  releaseHeld(): void {
    this.#open?.releaseHeld();
  }

  /**
   * Kills the process: open storages end without notice, and the next one finds the page cache as
   * it is.
   *
   * @param entropy decides which operations in progress were still performed, a write possibly in
   * part; without it all except syncs were.
   */
  kill(entropy?: Entropy): void {
    this.#open?.abandon(() => entropy === undefined ? 1 : partDone(entropy));
    this.#open = undefined;
  }

  /**
   * Cuts the power: open storages end without notice, and the next start finds what is durable.
   *
   * @param entropy decides what of the unsynced data survives; without it nothing does.
   */
  crash(entropy?: Entropy): void {
    this.kill(entropy);
    this.#folder = this.#folder.crash(entropy, this.sectorBytes);
  }

  /** Flips bit `[0, 8)` of the byte at `offset` of a file, on the disk and in a clean cache. */
  flip(file: string, offset: number, bit: number): void {
    this.#folder.file(file)?.flip(offset, bit);
  }

  /** Returns a copy of a file as it would be read now, or `undefined`. */
  peek(file: string): Uint8Array | undefined {
    const found = this.#folder.file(file);
    if (found === undefined) return undefined;
    const bytes = new Uint8Array(found.size);
    found.read(0, bytes);
    return bytes;
  }

  /** Adds a durable file. */
  plant(file: string, bytes: Uint8Array): void {
    this.#folder.set(file, MemoryFile.of(bytes));
  }

  /** Removes a file durably. */
  uproot(file: string): void {
    this.#folder.set(file, undefined);
  }

  /** Returns all files, by name. */
  list(): StoredFile[] {
    return this.#folder.list();
  }

  /** The folder, for the storage; a power cut replaces it. */
  get folder(): MemoryFolder {
    return this.#folder;
  }
}

/** An operation in progress. */
interface UnderWay {
  readonly ticket: Ticket;
  /** Of a commit: its current step. */
  readonly operation: SingleOperation;
  readonly captured: SyncCapture | undefined;
  readonly part: CommitPart | undefined;
}

/** A commit in progress. */
interface CommitPart {
  readonly commit: CommitOperation;
  readonly step: CommitStep;
}

class MemoryStorage extends TicketedStorage implements Storage {
  readonly name = "memory";
  readonly #disk: MemoryDisk;
  readonly #scheduler: Scheduler;
  readonly #onClose: () => void;
  #waiting: UnderWay[] = [];
  #held: UnderWay[] = [];
  readonly #delayed = new Map<UnderWay, Timer>();

  constructor(disk: MemoryDisk, scheduler: Scheduler, onClose: () => void) {
    super();
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#onClose = onClose;
  }

  protected override begin(ticket: Ticket, operation: StorageOperation): void {
    if (operation.kind === "commit") this.#step(ticket, operation, "write");
    else this.#begin(ticket, operation, undefined);
  }

  close(): void {
    if (this.isClosed) return;
    // Operations in progress still reach the disk, as they would from a process that exits.
    this.abandon(() => 1);
    this.#onClose();
  }

  releaseHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const underWay of held) this.#take(underWay, 0);
  }

  /**
   * Abandons the storage, as if the process were gone; performs the given part of each operation in
   * progress, except syncs.
   */
  abandon(part: () => number): void {
    this.end();
    const underWay = [...this.#waiting, ...this.#held, ...this.#delayed.keys()];
    for (const timer of this.#delayed.values()) timer.cancel();
    this.#waiting = [];
    this.#held = [];
    this.#delayed.clear();
    underWay.sort((left, right) => left.ticket - right.ticket);
    for (const { operation } of underWay) {
      const done = part();
      if (operation.kind === "write") {
        const bytes = operation.bytes.subarray(0, Math.ceil(done * operation.bytes.length));
        if (done > 0) this.#disk.folder.perform({ ...operation, bytes }, undefined);
      } else if (CHANGES.has(operation.kind) && done >= 0.5) {
        this.#disk.folder.perform(operation, undefined);
      }
    }
  }

  #step(ticket: Ticket, commit: CommitOperation, step: CommitStep): void {
    this.#begin(ticket, commitStep(commit, step), { commit, step });
  }

  #begin(ticket: Ticket, operation: SingleOperation, part: CommitPart | undefined): void {
    const captured = this.#disk.folder.capture(operation);
    this.#take({ ticket, operation, captured, part }, this.#disk.delayMs(operation));
  }

  #take(underWay: UnderWay, delayMs: number): void {
    if (delayMs === 0) {
      this.#waiting.push(underWay);
      if (this.#waiting.length === 1) this.#scheduler.nextTurn(() => this.#turn());
    } else if (delayMs === Infinity) {
      this.#held.push(underWay);
    } else {
      const timer = this.#scheduler.after(delayMs, () => {
        this.#delayed.delete(underWay);
        const before = this.finishedCount;
        this.#carryOut(underWay);
        if (before === 0 && this.finishedCount > 0) this.notify();
      });
      this.#delayed.set(underWay, timer);
    }
  }

  #turn(): void {
    if (this.isClosed) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    const before = this.finishedCount;
    const order = this.#disk.reorder;
    if (order === undefined) {
      for (const next of waiting) this.#carryOut(next);
    } else {
      while (waiting.length > 0) {
        const [next] = waiting.splice(Math.floor(order.unit() * waiting.length), 1);
        this.#carryOut(next!);
      }
    }
    if (before === 0 && this.finishedCount > 0) this.notify();
  }

  #carryOut(underWay: UnderWay): void {
    const { operation, captured } = underWay;
    const { kind } = operation;
    if (this.isRefused(operation)) return this.#fail(underWay, "poisoned");
    const fault = this.#disk.intercept(operation);
    if (fault === "hold") {
      this.#held.push(underWay);
    } else if (fault !== undefined) {
      if (kind === "write" && fault === "no_space") {
        const half = operation.bytes.subarray(0, operation.bytes.length >> 1);
        this.#disk.folder.perform({ ...operation, bytes: half }, undefined);
      }
      if (kind === "sync" || kind === "syncFolder") this.#failSync(captured);
      this.#fail(underWay, fault);
    } else {
      const result = this.#disk.folder.perform(operation, captured);
      if (typeof result === "string") this.#fail(underWay, result);
      else this.#performed(underWay, result);
    }
  }

  #performed({ ticket, part }: UnderWay, result: Exclude<Performed, string>): void {
    const next = part && stepAfter(part.step);
    if (part === undefined || next === undefined) this.finish(ticket, undefined, result);
    else this.#step(ticket, part.commit, next);
  }

  #failSync(captured: SyncCapture | undefined): void {
    this.#disk.folder.failSync(captured);
    this.isPoisoned = this.#disk.poisons;
  }

  #fail({ ticket, operation, part }: UnderWay, kind: StorageFailureKind): void {
    const file = "file" in operation ? ` ${operation.file}` : "";
    const message = `Cannot ${operation.kind}${file} in ${this.name}: ${kind}`;
    this.finish(
      ticket,
      part === undefined ? { kind, message } : { kind, message, step: part.step },
    );
  }
}

/** Returns the part of an operation in progress that was done when its process was killed. */
function partDone(entropy: Entropy): number {
  const draw = entropy.unit();
  if (draw < 0.4) return 0;
  return draw < 0.8 ? 1 : entropy.unit();
}
