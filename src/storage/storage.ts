/**
 * The disk interface: one folder of flat files, operations submitted, completions drained.
 *
 * Contract: `submit` never blocks on the disk and never calls back. A completion stays in a queue
 * until the owner drains it, in the order in which the operations finished. Bytes of an operation
 * belong to the storage from `submit` to its completion. Operations on one file may run
 * concurrently: a caller that needs an order waits for the completion. A failed sync poisons the
 * storage for good, because the kernel may have dropped the pages that it could not write (Rebello
 * et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). There are two
 * implementations with one test suite: `memory_storage.ts` and `file_storage.ts`.
 */
import type { CommitOperation, CommitStep } from "./commit.ts";

/** One operation on files of the folder. File names have no separators. */
export type StorageOperation =
  | SingleOperation
  /** Writes a batch, syncs it, then writes a mark. */
  | CommitOperation;

/** An operation of one step. */
export type SingleOperation =
  /** Writes all of `bytes` at `position`; creates the file if it does not exist. */
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
  /** Makes the data of writes durable that completed before this was submitted. */
  | { readonly kind: "sync"; readonly file: string }
  /** Makes the files' existence and names durable. */
  | { readonly kind: "syncFolder" }
  /** Renames a file, replacing one of that name. */
  | { readonly kind: "rename"; readonly file: string; readonly to: string }
  /** Removes a file. */
  | { readonly kind: "remove"; readonly file: string }
  /** Truncates a file to `size` bytes, or extends it with zeros. */
  | { readonly kind: "truncate"; readonly file: string; readonly size: number }
  /** Lists all files with their sizes, by ascending name. */
  | { readonly kind: "list" }
  /** Releases what is held open for a file; the next operation opens it again. */
  | { readonly kind: "release"; readonly file: string };

/** Identifier of a submitted operation; grows by one with each. */
export type Ticket = number;

/** The reason of a failed operation. */
export type StorageFailureKind =
  /** No space: what was written of it is undefined, and it may be retried. */
  | "no_space"
  /** The file does not exist. */
  | "not_found"
  /** A sync failed before: terminal. */
  | "poisoned"
  /** Any other error reported by the system. */
  | "io";

/** A failed operation; `message` names the operation, the file and the system's message. */
export interface StorageFailure {
  readonly kind: StorageFailureKind;
  readonly message: string;
  /** Of a commit: the step that failed; the steps before it succeeded, those after it were skipped. */
  readonly step?: CommitStep;
}

/** A file of the folder. */
export interface StoredFile {
  readonly name: string;
  readonly size: number;
}

/** The completion of one operation. */
export interface StorageCompletion {
  readonly ticket: Ticket;
  /** `undefined` on success. */
  readonly failure: StorageFailure | undefined;
  /** Of a read: number of bytes read. */
  readonly byteCount: number;
  /** Of a list: the files. */
  readonly files: readonly StoredFile[];
}

/** A folder on a disk. */
export interface Storage {
  /** Name of the folder in messages. */
  readonly name: string;
  /** True once a sync failed: operations that write fail from then on, reads continue. */
  readonly poisoned: boolean;
  /**
   * Sets the function that is notified of waiting completions. `notify` is called in a turn of its
   * own, once each time that the queue becomes non-empty.
   */
  attach(notify: () => void): void;
  /** Accepts an operation; its completion is drained later, even when it fails at once. */
  submit(operation: StorageOperation): Ticket;
  /**
   * Passes on completions in the order of finishing; what `each` submits completes in a later
   * drain.
   */
  drain(each: (completion: StorageCompletion) => void): void;
  /**
   * Releases the folder and its lock. Operations in progress still finish on the disk, but nothing
   * completes any more; later submissions are dropped.
   */
  close(): void;
}
