/**
 * The disk as an interface: one folder of flat files, operations submitted, completions drained.
 *
 * Contract: `submit` never blocks on the disk and never calls back; a completion lies in a queue
 * until the owner drains it, in the order in which the operations finished. Bytes of an operation
 * belong to the storage from `submit` to its completion. Operations on one file may run side by
 * side: whoever needs an order waits for the completion. A failed sync poisons the storage for
 * good, for the kernel may have dropped the pages it could not write (Rebello et al., "Can
 * Applications Recover from fsync Failures?", USENIX ATC 2020). Two implementations, one suite:
 * `memory_storage.ts` and `file_storage.ts`.
 */

/** One operation on a file of the folder. File names have no separators. */
export type StorageOperation =
  /** Writes all of `bytes` at `position`; makes the file if there is none. */
  | {
    readonly kind: "write";
    readonly file: string;
    readonly position: number;
    readonly bytes: Uint8Array;
  }
  /** Fills `target` from `position`; `byteCount` is less than its length at the file's end. */
  | {
    readonly kind: "read";
    readonly file: string;
    readonly position: number;
    readonly target: Uint8Array;
  }
  /** Makes durable what writes that completed before this was submitted put into the file. */
  | { readonly kind: "sync"; readonly file: string }
  /** Makes durable which files there are and what they are called. */
  | { readonly kind: "syncFolder" }
  /** Gives a file another name, replacing what had it. */
  | { readonly kind: "rename"; readonly file: string; readonly to: string }
  /** Removes a file. */
  | { readonly kind: "remove"; readonly file: string }
  /** Cuts a file to `size` bytes, or extends it with zeros. */
  | { readonly kind: "truncate"; readonly file: string; readonly size: number }
  /** Lists all files with their sizes, by ascending name. */
  | { readonly kind: "list" }
  /** Gives back what is held open for a file; the next operation opens it again. */
  | { readonly kind: "release"; readonly file: string };

/** Names one submitted operation; grows by one with each. */
export type Ticket = number;

/** Why an operation failed. */
export type StorageFailureKind =
  /** No room: what was written of it is undefined, and it may be tried again. */
  | "no_space"
  /** There is no such file. */
  | "not_found"
  /** A sync failed before: terminal. */
  | "poisoned"
  /** Anything else that the system reports. */
  | "io";

/** A failed operation; `message` names the operation, the file and the system's words. */
export interface StorageFailure {
  readonly kind: StorageFailureKind;
  readonly message: string;
}

/** A file of the folder. */
export interface StoredFile {
  readonly name: string;
  readonly size: number;
}

/** The end of one operation. */
export interface StorageCompletion {
  readonly ticket: Ticket;
  /** `undefined`: it succeeded. */
  readonly failure: StorageFailure | undefined;
  /** Of a read: the bytes read. */
  readonly byteCount: number;
  /** Of a list. */
  readonly files: readonly StoredFile[];
}

/** A folder on a disk. */
export interface Storage {
  /** What the folder is called in messages. */
  readonly name: string;
  /** True once a sync failed: writing operations fail from then on, reads go on. */
  readonly poisoned: boolean;
  /**
   * Sets who is told that completions wait. `notify` is called in a turn of its own, once for each
   * time that the queue stops being empty.
   */
  attach(notify: () => void): void;
  /** Takes an operation; its completion is drained later, even when it fails at once. */
  submit(operation: StorageOperation): Ticket;
  /** Hands out what finished, in that order; what `each` submits finishes in a later drain. */
  drain(each: (completion: StorageCompletion) => void): void;
  /**
   * Gives the folder and its lock back. Operations under way still finish on the disk, but nothing
   * completes any more; what is submitted later is dropped.
   */
  close(): void;
}
