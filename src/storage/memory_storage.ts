/**
 * The storage in memory: a disk that forgets what was not synced, for simulation and tests.
 *
 * A {@link MemoryDisk} outlives the storages opened on it. It keeps of each file what was written and
 * what is durable, page by page, and of the folder the changes not synced yet. A crash keeps of all
 * that is not durable an arbitrary part: any subset of pages, and the folder's changes up to any one
 * of them. All choices come from the entropy that is passed in, so a seed replays them.
 */
import { RegistryError } from "../base/errors.ts";
import type { Entropy, Scheduler } from "../base/world.ts";
import type {
  Storage,
  StorageCompletion,
  StorageFailure,
  StorageFailureKind,
  StorageOperation,
  StoredFile,
  Ticket,
} from "./storage.ts";

/** Pages reach the disk whole or not at all. */
const PAGE_BYTES = 4_096;

/**
 * What is to happen to an operation: a failure of that kind, `hold` until
 * {@link MemoryDisk.releaseHeld}, or `undefined` for success. A write without room still writes its
 * first half.
 */
export type Fault = "no_space" | "io" | "hold" | undefined;

class MemoryFile {
  bytes = new Uint8Array(0);
  size = 0;
  durable = new Uint8Array(0);
  durableSize = 0;
  readonly dirty = new Set<number>();

  write(position: number, data: Uint8Array): void {
    const end = position + data.length;
    this.#reserve(end);
    this.bytes.set(data, position);
    this.size = Math.max(this.size, end);
    this.#touch(position, end);
  }

  truncate(size: number): void {
    this.#reserve(size);
    const lo = Math.min(size, this.size);
    const hi = Math.max(size, this.size);
    this.bytes.fill(0, lo, hi);
    this.size = size;
    this.#touch(lo, hi);
  }

  sync(): void {
    this.durable = this.bytes.slice(0, this.size);
    this.durableSize = this.size;
    this.dirty.clear();
  }

  /** What a crash leaves of it; `keep` decides for each page that is not durable. */
  crash(keep: () => boolean): MemoryFile {
    const left = new MemoryFile();
    left.write(0, this.durable.subarray(0, this.durableSize));
    let cut = this.size < this.durableSize && keep();
    for (const page of [...this.dirty].sort((a, b) => a - b)) {
      if (!keep()) continue;
      const start = page * PAGE_BYTES;
      const end = Math.min(start + PAGE_BYTES, this.size);
      if (start < end) left.write(start, this.bytes.subarray(start, end));
      else cut = true;
    }
    if (cut && this.size < left.size) left.truncate(this.size);
    left.sync();
    return left;
  }

  #reserve(size: number): void {
    if (size <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(size, this.bytes.length * 2, PAGE_BYTES));
    grown.set(this.bytes.subarray(0, this.size));
    this.bytes = grown;
  }

  #touch(lo: number, hi: number): void {
    for (let page = Math.floor(lo / PAGE_BYTES); page * PAGE_BYTES < hi; page++) {
      this.dirty.add(page);
    }
  }
}

/** One change of the folder, not synced yet. */
type FolderChange = (files: Map<string, MemoryFile>) => void;

/** A disk with one folder. */
export class MemoryDisk {
  /** Asked for each operation when it is carried out; set by tests. */
  intercept: (operation: StorageOperation) => Fault = () => undefined;
  /** When set, operations that wait together are carried out in an order drawn from it. */
  reorder: Entropy | undefined;
  #files = new Map<string, MemoryFile>();
  #durableFiles = new Map<string, MemoryFile>();
  #changes: FolderChange[] = [];
  #open: MemoryStorage | undefined;

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

  /** Carries out, in a later turn, what `hold` held back. */
  releaseHeld(): void {
    this.#open?.releaseHeld();
  }

  /**
   * The power fails: what is open ends without a word, and this is what the next start finds.
   *
   * @param entropy decides what of the unsynced survives; without it nothing does.
   */
  crash(entropy?: Entropy): void {
    this.#open?.abandon();
    this.#open = undefined;
    const keep = () => entropy !== undefined && entropy.unit() < 0.5;
    const files = new Map(this.#durableFiles);
    const kept = entropy === undefined
      ? 0
      : Math.floor(entropy.unit() * (this.#changes.length + 1));
    for (const change of this.#changes.slice(0, kept)) change(files);
    this.#files = new Map();
    for (const [name, file] of files) this.#files.set(name, file.crash(keep));
    this.#durableFiles = new Map(this.#files);
    this.#changes = [];
  }

  /** A copy of a file as it would be read now, or `undefined`. */
  peek(file: string): Uint8Array | undefined {
    const found = this.#files.get(file);
    return found?.bytes.slice(0, found.size);
  }

  /** Puts a file there, durable, as if it had always been. */
  plant(file: string, bytes: Uint8Array): void {
    const planted = new MemoryFile();
    planted.write(0, bytes);
    planted.sync();
    this.#files.set(file, planted);
    this.#durableFiles.set(file, planted);
  }

  /** Takes a file away, as if it had never been. */
  uproot(file: string): void {
    this.#files.delete(file);
    this.#durableFiles.delete(file);
  }

  /** All files, by name. */
  list(): StoredFile[] {
    return [...this.#files].map(([name, { size }]) => ({ name, size }))
      .sort((left, right) => left.name < right.name ? -1 : 1);
  }

  /** Carries out one operation; for the storage. */
  perform(operation: StorageOperation): { byteCount?: number; files?: StoredFile[] } | undefined {
    switch (operation.kind) {
      case "write":
        this.#made(operation.file).write(operation.position, operation.bytes);
        return {};
      case "read": {
        const file = this.#files.get(operation.file);
        if (file === undefined) return undefined;
        const lo = Math.min(operation.position, file.size);
        const hi = Math.min(operation.position + operation.target.length, file.size);
        operation.target.set(file.bytes.subarray(lo, hi));
        return { byteCount: hi - lo };
      }
      case "sync":
        this.#files.get(operation.file)?.sync();
        return this.#files.has(operation.file) ? {} : undefined;
      case "syncFolder":
        this.#durableFiles = new Map(this.#files);
        this.#changes = [];
        return {};
      case "rename": {
        const file = this.#files.get(operation.file);
        if (file === undefined) return undefined;
        this.#change((files) => {
          files.delete(operation.file);
          files.set(operation.to, file);
        });
        return {};
      }
      case "remove":
        if (!this.#files.has(operation.file)) return undefined;
        this.#change((files) => void files.delete(operation.file));
        return {};
      case "truncate":
        this.#made(operation.file).truncate(operation.size);
        return {};
      case "list":
        return { files: this.list() };
      case "release":
        return {};
    }
  }

  #made(name: string): MemoryFile {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const file = new MemoryFile();
    this.#change((files) => void files.set(name, file));
    return file;
  }

  #change(change: FolderChange): void {
    change(this.#files);
    this.#changes.push(change);
  }
}

interface Waiting {
  readonly ticket: Ticket;
  readonly operation: StorageOperation;
}

class MemoryStorage implements Storage {
  readonly name = "memory";
  readonly #disk: MemoryDisk;
  readonly #scheduler: Scheduler;
  readonly #onClose: () => void;
  #notify: () => void = () => {};
  #waiting: Waiting[] = [];
  #held: Waiting[] = [];
  #finished: StorageCompletion[] = [];
  #lastTicket = 0;
  #poisoned = false;
  #closed = false;

  constructor(disk: MemoryDisk, scheduler: Scheduler, onClose: () => void) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#onClose = onClose;
  }

  get poisoned(): boolean {
    return this.#poisoned;
  }

  attach(notify: () => void): void {
    this.#notify = notify;
  }

  submit(operation: StorageOperation): Ticket {
    const ticket = ++this.#lastTicket;
    if (this.#closed) return ticket;
    this.#wait({ ticket, operation });
    return ticket;
  }

  drain(each: (completion: StorageCompletion) => void): void {
    const finished = this.#finished;
    this.#finished = [];
    for (const completion of finished) each(completion);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // What is under way still reaches the disk, as it would from a process that exits.
    for (const { operation } of [...this.#waiting, ...this.#held]) this.#disk.perform(operation);
    this.#onClose();
  }

  releaseHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const waiting of held) this.#wait(waiting);
  }

  /** The process dies: writes under way may or may not reach the disk. */
  abandon(): void {
    this.#closed = true;
    this.#notify = () => {};
    for (const { operation } of [...this.#waiting, ...this.#held]) {
      if (operation.kind === "write") this.#disk.perform(operation);
    }
    this.#waiting = [];
    this.#finished = [];
  }

  #wait(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (this.#waiting.length === 1) this.#scheduler.nextTurn(() => this.#turn());
  }

  #turn(): void {
    if (this.#closed) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    const order = this.#disk.reorder;
    while (waiting.length > 0) {
      const at = order === undefined ? 0 : Math.floor(order.unit() * waiting.length);
      const [next] = waiting.splice(at, 1);
      this.#carryOut(next!);
    }
    if (this.#finished.length > 0) this.#notify();
  }

  #carryOut({ ticket, operation }: Waiting): void {
    const { kind } = operation;
    const harmless = kind === "read" || kind === "list" || kind === "release";
    if (this.#poisoned && !harmless) {
      return this.#finish(ticket, this.#failure(operation, "poisoned"));
    }
    const fault = this.#disk.intercept(operation);
    if (fault === "hold") {
      this.#held.push({ ticket, operation });
    } else if (fault !== undefined) {
      if (kind === "write" && fault === "no_space") {
        const half = operation.bytes.subarray(0, operation.bytes.length >> 1);
        this.#disk.perform({ ...operation, bytes: half });
      }
      if (kind === "sync" || kind === "syncFolder") this.#poisoned = true;
      this.#finish(ticket, this.#failure(operation, fault));
    } else {
      const result = this.#disk.perform(operation);
      const failure = result === undefined ? this.#failure(operation, "not_found") : undefined;
      this.#finish(ticket, failure, result);
    }
  }

  #failure(operation: StorageOperation, kind: StorageFailureKind): StorageFailure {
    const file = "file" in operation ? ` ${operation.file}` : "";
    return { kind, message: `Cannot ${operation.kind}${file} in ${this.name}: ${kind}` };
  }

  #finish(
    ticket: Ticket,
    failure: StorageFailure | undefined,
    { byteCount = 0, files = [] }: { byteCount?: number; files?: readonly StoredFile[] } = {},
  ): void {
    this.#finished.push({ ticket, failure, byteCount, files });
  }
}
