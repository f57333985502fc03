/**
 * Storage on a real disk, by calls that Deno and Node both have, except for writes
 * (`positional_writer.ts`) and, under load, the commit thread (`commit_thread_on_demand.ts`). Once
 * the folder is open, nothing here waits for the disk on the main thread, so a hanging disk delays
 * writes and nothing else.
 *
 * Files are opened at first use and stay open until released. Data is synced with fdatasync, which
 * also writes a file's size when it grew (POSIX.1-2017 fdatasync), the folder with fsync.
 */
import fs from "node:fs";
import path from "node:path";
import { RegistryError } from "../base/errors.ts";
import type { Scheduler } from "../base/world.ts";
import { type CommitOperation, type CommitStep, commitStep, stepAfter } from "./commit.ts";
import { CommitThreadOnDemand } from "./commit_thread_on_demand.ts";
import { type FolderLock, lockFolder } from "./folder_lock.ts";
import { OpenFile } from "./open_file.ts";
import type { SystemError } from "./positional_writer.ts";
import type { Storage, StorageFailure, StorageOperation, StoredFile, Ticket } from "./storage.ts";
import { type OperationResult, TicketedStorage } from "./ticketed_storage.ts";

/** Readable by the owner only, because data may reveal who connects from where. */
const FOLDER_MODE = 0o700;

/**
 * Opens a folder as a storage; creates and locks it.
 *
 * @param scheduler times the rate of commits; without it, no commit thread is used.
 * @throws RegistryError `locked` when another process uses it, `storage_unavailable` when it cannot
 * be created or read.
 */
export function openFileStorage(folder: string, scheduler?: Scheduler): Storage {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    const thread = scheduler && new CommitThreadOnDemand(scheduler);
    return new FileStorage(folder, lockFolder(folder), thread);
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    const words = error instanceof Error ? error.message : String(error);
    throw new RegistryError(
      "storage_unavailable",
      `Cannot open folder ${folder}: ${words}`,
      { field: folder },
      error,
    );
  }
}

class FileStorage extends TicketedStorage implements Storage {
  readonly name: string;
  readonly #lock: FolderLock;
  readonly #open = new Map<string, OpenFile>();
  readonly #thread: CommitThreadOnDemand | undefined;
  #underWay = 0;

  constructor(folder: string, lock: FolderLock, thread: CommitThreadOnDemand | undefined) {
    super();
    this.name = folder;
    this.#lock = lock;
    this.#thread = thread;
  }

  protected override begin(ticket: Ticket, operation: StorageOperation): void {
    this.#underWay++;
    if (!this.isRefused(operation)) return this.#start(ticket, operation);
    const { kind } = operation;
    const message = `Cannot ${kind} in ${this.name} as a sync failed before`;
    queueMicrotask(() => this.#finish(ticket, { kind: "poisoned", message }));
  }

  close(): void {
    if (this.isClosed) return;
    this.end();
    if (this.#underWay === 0) this.#closeAll();
  }

  #closeAll(): void {
    for (const file of this.#open.values()) file.release();
    this.#open.clear();
    this.#thread?.close();
    this.#lock.release();
  }

  #start(ticket: Ticket, operation: StorageOperation): void {
    const done = (error: SystemError) => this.#finish(ticket, this.#failure(operation, error));
    switch (operation.kind) {
      case "write":
        this.#file(operation.file).write(operation.bytes, operation.position, done);
        return;
      case "read":
        this.#file(operation.file).read(
          operation.target,
          operation.position,
          (error, byteCount) =>
            this.#finish(ticket, this.#failure(operation, error), { byteCount }),
        );
        return;
      case "commit":
        this.#commit(ticket, operation);
        return;
      case "sync":
        this.#file(operation.file).sync(done);
        return;
      case "syncFolder":
        this.#syncFolder(done);
        return;
      case "rename":
        this.#release(operation.file);
        this.#release(operation.to);
        fs.rename(this.#path(operation.file), this.#path(operation.to), done);
        return;
      case "remove":
        this.#release(operation.file);
        fs.unlink(this.#path(operation.file), done);
        return;
      case "truncate":
        this.#file(operation.file).truncate(operation.size, done);
        return;
      case "list":
        this.#list((error, files) =>
          this.#finish(ticket, this.#failure(operation, error), {
            files,
          })
        );
        return;
      case "release":
        this.#release(operation.file);
        queueMicrotask(() => done(null));
        return;
    }
  }

  #commit(ticket: Ticket, operation: CommitOperation): void {
    const paths = { log: this.#path(operation.file), mark: this.#path(operation.mark.file) };
    const isRunning = this.#thread?.run(paths, operation, (error) => {
      this.#finish(ticket, error && this.#commitFailure(operation, error.step, error));
    }) ?? false;
    if (!isRunning) this.#step(ticket, operation, "write");
  }

  /** Performs `step` of a commit and those after it, as operations of their own. */
  #step(ticket: Ticket, operation: CommitOperation, step: CommitStep): void {
    const done = (error: SystemError) => {
      const failure = error ? this.#commitFailure(operation, step, error) : undefined;
      const next = failure === undefined ? stepAfter(step) : undefined;
      if (next === undefined) this.#finish(ticket, failure);
      else this.#step(ticket, operation, next);
    };
    const part = commitStep(operation, step);
    const file = this.#file(part.file);
    if (part.kind === "sync") file.sync(done);
    else file.write(part.bytes, part.position, done);
  }

  #commitFailure(
    operation: CommitOperation,
    step: CommitStep,
    error: { readonly code?: string | undefined; readonly message: string },
  ): StorageFailure {
    return { ...this.#describe(commitStep(operation, step), error), step };
  }

  #path(file: string): string {
    // File names have no separators.
    return `${this.name}${path.sep}${file}`;
  }

  #file(name: string): OpenFile {
    const open = this.#open.get(name);
    if (open !== undefined) return open;
    const file: OpenFile = new OpenFile(this.#path(name), () => {
      if (this.#open.get(name) === file) this.#open.delete(name);
    });
    this.#open.set(name, file);
    return file;
  }

  #release(name: string): void {
    this.#open.get(name)?.release();
    this.#open.delete(name);
    this.#thread?.reopen();
  }

  #syncFolder(done: (error: SystemError) => void): void {
    fs.open(this.name, "r", (error, handle) => {
      if (error) return done(error);
      fs.fsync(handle, (syncError) => {
        fs.closeSync(handle);
        done(syncError);
      });
    });
  }

  #list(done: (error: SystemError, files: StoredFile[]) => void): void {
    fs.readdir(this.name, (error, names) => {
      if (error) return done(error, []);
      const files: StoredFile[] = [];
      const sorted = names.sort();
      const next = (at: number) => {
        const name = sorted[at];
        if (name === undefined) return done(null, files);
        fs.stat(this.#path(name), (statError, stat) => {
          if (statError) return done(statError, []);
          if (stat.isFile()) files.push({ name, size: stat.size });
          next(at + 1);
        });
      };
      next(0);
    });
  }

  #failure(operation: StorageOperation, error: SystemError): StorageFailure | undefined {
    return error ? this.#describe(operation, error) : undefined;
  }

  #describe(
    operation: StorageOperation,
    error: { readonly code?: string | undefined; readonly message: string },
  ): StorageFailure {
    const { kind } = operation;
    const file = "file" in operation ? ` ${operation.file}` : "";
    const message = `Cannot ${kind}${file} in ${this.name}: ${error.message}`;
    if (error.code === "ENOENT") return { kind: "not_found", message };
    if (kind === "sync" || kind === "syncFolder") {
      this.isPoisoned = true;
      return { kind: "io", message };
    }
    if (error.code === "ENOSPC" || error.code === "EDQUOT") return { kind: "no_space", message };
    return { kind: "io", message };
  }

  #finish(ticket: Ticket, failure: StorageFailure | undefined, result?: OperationResult): void {
    this.#underWay--;
    if (this.isClosed) {
      if (this.#underWay === 0) this.#closeAll();
      return;
    }
    this.finish(ticket, failure, result);
    // Called directly: this runs in a turn of its own, either a callback's or a microtask after it.
    if (this.finishedCount === 1) this.notify();
  }
}
