/** The part of a storage that does not depend on where it stores: tickets, and completions to drain. */
import type {
  StorageCompletion,
  StorageFailure,
  StorageOperation,
  StoredFile,
  Ticket,
} from "./storage.ts";

/** The result of an operation; empty if it returns nothing. */
export interface OperationResult {
  readonly byteCount?: number;
  readonly files?: readonly StoredFile[];
}

const NO_FILES: readonly StoredFile[] = [];

/** Hands out tickets, and keeps completions until the owner drains them. */
export abstract class TicketedStorage {
  protected isClosed = false;
  /** Whether a sync failed. */
  protected isPoisoned = false;
  #notify: () => void = () => {};
  #finished: StorageCompletion[] = [];
  #lastTicket = 0;

  get poisoned(): boolean {
    return this.isPoisoned;
  }

  attach(notify: () => void): void {
    this.#notify = notify;
  }

  submit(operation: StorageOperation): Ticket {
    const ticket = ++this.#lastTicket;
    if (!this.isClosed) this.begin(ticket, operation);
    return ticket;
  }

  drain(each: (completion: StorageCompletion) => void): void {
    const finished = this.#finished;
    this.#finished = [];
    for (const completion of finished) each(completion);
  }

  /** Begins an operation, which finishes in a later turn. */
  protected abstract begin(ticket: Ticket, operation: StorageOperation): void;

  /** The number of completions that wait to be drained. */
  protected get finishedCount(): number {
    return this.#finished.length;
  }

  /** Adds a completion; the caller notifies the owner of the first one. */
  protected finish(
    ticket: Ticket,
    failure: StorageFailure | undefined,
    { byteCount = 0, files = NO_FILES }: OperationResult = {},
  ): void {
    this.#finished.push({ ticket, failure, byteCount, files });
  }

  protected notify(): void {
    this.#notify();
  }

  /** Closes: nothing completes any more. */
  protected end(): void {
    this.isClosed = true;
    this.#notify = () => {};
    this.#finished = [];
  }

  /** Whether an operation is refused, because a sync failed and it writes. */
  protected isRefused({ kind }: StorageOperation): boolean {
    return this.isPoisoned && kind !== "read" && kind !== "list" && kind !== "release";
  }
}
