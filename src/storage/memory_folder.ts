/**
 * The folder of the memory disk: names and files as they are seen, and as a power cut would leave
 * them. A name is durable only when the folder was synced after the change, as POSIX has it.
 */
import type { Entropy } from "../base/world.ts";
import { type FileCapture, MemoryFile, PAGE_BYTES } from "./memory_file.ts";
import type { StorageOperation, StoredFile } from "./storage.ts";

type Files = Map<string, MemoryFile>;

/** One change of the folder that is not durable, and the names that it is about. */
interface FolderChange {
  readonly ordinal: number;
  readonly names: readonly string[];
  readonly apply: (files: Files) => void;
}

/** What a sync that is submitted now would make durable. */
export type SyncCapture =
  | { readonly file: MemoryFile; readonly capture: FileCapture }
  | { readonly ordinal: number };

/** What came of an operation. */
export type Performed =
  | { readonly byteCount?: number; readonly files?: StoredFile[] }
  | "not_found"
  | "no_space";

const DONE: Performed = {};

/** A folder of files. */
export class MemoryFolder {
  /** Room for data, bytes; what is there already may exceed it. */
  capacityBytes = Infinity;
  readonly #files: Files;
  readonly #durableFiles: Files;
  #changes: FolderChange[] = [];
  #ordinal = 0;

  constructor(files: Files = new Map()) {
    this.#files = files;
    this.#durableFiles = new Map(files);
  }

  /** All files, by name. */
  list(): StoredFile[] {
    return [...this.#files].map(([name, { size }]) => ({ name, size }))
      .sort((left, right) => left.name < right.name ? -1 : 1);
  }

  file(name: string): MemoryFile | undefined {
    return this.#files.get(name);
  }

  /** Puts a file there, or takes it away, as if it had always been so. */
  set(name: string, file: MemoryFile | undefined): void {
    for (const files of [this.#files, this.#durableFiles]) {
      if (file === undefined) files.delete(name);
      else files.set(name, file);
    }
  }

  /** Bytes that data takes. */
  get usedBytes(): number {
    let pages = 0;
    for (const file of this.#files.values()) pages += file.pageCount;
    return pages * PAGE_BYTES;
  }

  /** What a sync makes durable is what was there when it was submitted. */
  capture(operation: StorageOperation): SyncCapture | undefined {
    if (operation.kind === "syncFolder") return { ordinal: this.#ordinal };
    if (operation.kind !== "sync") return undefined;
    const file = this.#files.get(operation.file);
    return file === undefined ? undefined : { file, capture: file.capture() };
  }

  /** Carries an operation out. A sync is handed the capture of when it was submitted. */
  perform(operation: StorageOperation, captured: SyncCapture | undefined): Performed {
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

  /** A sync failed; see {@link MemoryFile.dropDirty}. The folder's changes stay to be synced. */
  failSync(captured: SyncCapture | undefined): void {
    if (captured !== undefined && "file" in captured) captured.file.dropDirty(captured.capture);
  }

  /** What a power cut leaves; without `entropy` nothing that was not synced. */
  crash(entropy: Entropy | undefined, sectorBytes: number): MemoryFolder {
    const files = new Map(this.#durableFiles);
    for (const { apply } of survivingChanges(this.#changes, entropy)) apply(files);
    const left: Files = new Map();
    for (const [name, file] of files) left.set(name, file.crash(entropy, sectorBytes));
    const folder = new MemoryFolder(left);
    folder.capacityBytes = this.capacityBytes;
    return folder;
  }

  /** Writes all of it, or a part where there is no room for all. */
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
 * The changes that survive: with a journal all up to one; without, any of them, but none of a name
 * of which an earlier one is lost.
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
