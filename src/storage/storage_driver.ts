/**
 * A callback interface to a storage: each operation is submitted with a callback for its
 * completion.
 */
import type {
  Storage,
  StorageCompletion,
  StorageFailure,
  StorageOperation,
  Ticket,
} from "./storage.ts";

/** Callback at the end of an operation. */
export type OnCompletion = (
  failure: StorageFailure | undefined,
  completion: StorageCompletion,
) => void;

/** The one owner of a storage. */
export class StorageDriver {
  readonly #storage: Storage;
  readonly #waiting = new Map<Ticket, OnCompletion>();
  readonly #each = (completion: StorageCompletion) => {
    const done = this.#waiting.get(completion.ticket);
    this.#waiting.delete(completion.ticket);
    done?.(completion.failure, completion);
  };

  constructor(storage: Storage) {
    this.#storage = storage;
    storage.attach(() => storage.drain(this.#each));
  }

  /** Name of the folder. */
  get name(): string {
    return this.#storage.name;
  }

  /**
   * Submits an operation; `done` is called once, in a later turn, unless the driver is closed
   * before.
   */
  submit(operation: StorageOperation, done: OnCompletion): void {
    this.#waiting.set(this.#storage.submit(operation), done);
  }

  /** Closes the storage; no callback is called any more. */
  close(): void {
    this.#waiting.clear();
    this.#storage.close();
  }
}
