/** Joins a storage to callbacks: each operation is submitted with what is to happen at its end. */
import type {
  Storage,
  StorageCompletion,
  StorageFailure,
  StorageOperation,
  Ticket,
} from "./storage.ts";

/** The end of an operation. */
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

  /** What the folder is called. */
  get name(): string {
    return this.#storage.name;
  }

  /** Submits; `done` is called once, in a later turn, unless the driver is closed before. */
  submit(operation: StorageOperation, done: OnCompletion): void {
    this.#waiting.set(this.#storage.submit(operation), done);
  }

  /** Closes the storage; nothing is called back any more. */
  close(): void {
    this.#waiting.clear();
    this.#storage.close();
  }
}
