/**
 * The folder of the memory disk: names and files as currently visible, and as a power cut would
 * leave them. A name is durable only when the folder was synced after the change, as in POSIX.
 */
import type { Entropy } from "../base/world.ts";
import { type FileCapture, MemoryFile, PAGE_BYTES } from "./memory_file.ts";
import type { SingleOperation, StoredFile } from "./storage.ts";

type Files = Map<string, MemoryFile>;

/** A change of the folder that is not durable, and the names it affects. */
interface FolderChange {
  readonly ordinal: number;
  readonly names: readonly string[];
  readonly apply: (files: Files) => void;
}

/** The state that a sync submitted now would make durable. */
export type SyncCapture =
  | { readonly file: MemoryFile; readonly capture: FileCapture }
  | { readonly ordinal: number };

/** The result of an operation. */
export type Performed =
  | { readonly byteCount?: number; readonly files?: StoredFile[] }
  | "not_found"
  | "no_space";

const DONE: Performed = {};

/** A folder of files. */
export class MemoryFolder {
  /** Capacity for data, bytes; existing data may exceed it. */
  capacityBytes = Infinity;
  readonly #files: Files;
  readonly #durableFiles: Files;
  #changes: FolderChange[] = [];
  #ordinal = 0;

  constructor(files: Files = new Map()) {
    this.#files = files;
    this.#durableFiles = new Map(files);
  }

  /** Returns all files, by name. */
  list(): StoredFile[] {
    return [...this.#files].map(([name, { size }]) => ({ name, size }))
      .sort((left, right) => left.name < right.name ? -1 : 1);
  }

  file(name: string): MemoryFile | undefined {
    return this.#files.get(name);
  }

  /** Adds or removes a file, durably and without a recorded change. */
  set(name: string, file: MemoryFile | undefined): void {
    for (const files of [this.#files, this.#durableFiles]) {
      if (file === undefined) files.delete(name);
      else files.set(name, file);
    }
  }

  /** Bytes allocated to data. */
  get usedBytes(): number {
    let pages = 0;
    for (const file of this.#files.values()) pages += file.pageCount;
    return pages * PAGE_BYTES;
  }

  /** Returns the state that a sync makes durable: that at its submission. */
  capture(operation: SingleOperation): SyncCapture | undefined {
    if (operation.kind === "syncFolder") return { ordinal: this.#ordinal };
    if (operation.kind !== "sync") return undefined;
    const file = this.#files.get(operation.file);
    return file === undefined ? undefined : { file, capture: file.capture() };
  }

  /** Performs an operation. A sync is passed the capture made at its submission. */
  perform(operation: SingleOperation, captured: SyncCapture | undefined): Performed {
    switch (operation.kind) {
      case "write":
        return this.#write(operation.file, operation.position, operation.bytes);
      case "read": {
        const file = this.#files.get(operation.file);
        if (file === undefined) return "not_found";
        return { byteCount: file.read(operation.position, operation.target) };
      }
      case "sync":
        if (captured === undefined || !("file" in captured)) return "not_found";
        captured.file.makeDurable(captured.capture);
        return DONE;
      case "syncFolder":
        if (captured !== undefined && "ordinal" in captured) this.#syncUpTo(captured.ordinal);
        return DONE;
      case "rename":
        return this.#rename(operation.file, operation.to);
      case "remove":
        if (!this.#files.has(operation.file)) return "not_found";
        this.#change([operation.file], (files) => void files.delete(operation.file));
        return DONE;
      case "truncate":
        this.#made(operation.file).truncate(operation.size);
        return DONE;
      case "list":
        return { files: this.list() };
      case "release":
        return DONE;
    }
  }

  /**
   * Applies a failed sync; see {@link MemoryFile.dropDirty}. The folder's changes can still be
   * synced.
   */
  failSync(captured: SyncCapture | undefined): void {
    if (captured !== undefined && "file" in captured) captured.file.dropDirty(captured.capture);
  }

  /** Returns what a power cut leaves; without `entropy`, only what was synced. */
  crash(entropy: Entropy | undefined, sectorBytes: number): MemoryFolder {
    const files = new Map(this.#durableFiles);
    for (const { apply } of survivingChanges(this.#changes, entropy)) apply(files);
    const left: Files = new Map();
    for (const [name, file] of files) left.set(name, file.crash(entropy, sectorBytes));
    const folder = new MemoryFolder(left);
    folder.capacityBytes = this.capacityBytes;
    return folder;
  }

  /** Writes all of `bytes`, or a part when there is not enough space. */
  #write(name: string, position: number, bytes: Uint8Array): Performed {
    const file = this.#made(name);
    const room = this.capacityBytes === Infinity ? Infinity : this.capacityBytes - this.usedBytes;
    let fits = bytes.length;
    while (fits > 0 && file.pagesWanted(position, fits) * PAGE_BYTES > room) fits >>= 1;
    file.write(position, bytes.subarray(0, fits));
    return fits === bytes.length ? DONE : "no_space";
  }

  #rename(from: string, to: string): Performed {
    const file = this.#files.get(from);
    if (file === undefined) return "not_found";
    this.#change([from, to], (files) => {
      files.delete(from);
      files.set(to, file);
    });
    return DONE;
  }

  #made(name: string): MemoryFile {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const file = new MemoryFile();
    this.#change([name], (files) => void files.set(name, file));
    return file;
  }

  #change(names: readonly string[], apply: (files: Files) => void): void {
    apply(this.#files);
    this.#changes.push({ ordinal: ++this.#ordinal, names, apply });
  }

  #syncUpTo(ordinal: number): void {
    const first = this.#changes.findIndex((change) => change.ordinal > ordinal);
    const durable = this.#changes.splice(0, first === -1 ? this.#changes.length : first);
    for (const { apply } of durable) apply(this.#durableFiles);
  }
}

/**
 * Returns the surviving changes: with a journal, all up to one; without, any of them, but none of a
 * name that lost an earlier one.
 */
function survivingChanges(
  changes: readonly FolderChange[],
  entropy: Entropy | undefined,
): readonly FolderChange[] {
  if (entropy === undefined) return [];
  if (entropy.unit() < 0.5) {
    return changes.slice(0, Math.floor(entropy.unit() * (changes.length + 1)));
  }
  const lost = new Set<string>();
  return changes.filter(({ names }) => {
    if (entropy.unit() < 0.5 && !names.some((name) => lost.has(name))) return true;
    for (const name of names) lost.add(name);
    return false;
  });
}
