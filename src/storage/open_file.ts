/**
 * An open file: opened at its first use without blocking the event loop, closed when it was
 * released and none of its operations is in progress.
 */
import fs from "node:fs";
import { type PositionalWriter, positionalWriter, type SystemError } from "./positional_writer.ts";

/** Readable by the owner only, because data may reveal who connects from where. */
const FILE_MODE = 0o600;

type Done = (error: SystemError) => void;

/** An operation that waits for the file to be opened. */
interface Waiting {
  readonly create: boolean;
  readonly run: (handle: number, writer: PositionalWriter) => void;
  readonly failed: Done;
}

/** A file of a storage. */
export class OpenFile {
  readonly #path: string;
  readonly #onFailed: () => void;
  #handle: number | undefined;
  #writer: PositionalWriter | undefined;
  #waiting: Waiting[] = [];
  #opening = false;
  #underWay = 0;
  #released = false;

  /**
   * @param onFailed called when the file could not be opened and no operation waits for it any
   * more.
   */
  constructor(path: string, onFailed: () => void) {
    this.#path = path;
    this.#onFailed = onFailed;
  }

  /** Writes all of `bytes` at `position`; creates the file if it does not exist. */
  write(bytes: Uint8Array, position: number, done: Done): void {
    this.#use({
      create: true,
      run: (_handle, writer) => writer.write(bytes, position, this.#ending(done)),
      failed: done,
    });
  }

  /** Fills `target` from `position`, or less at the file's end. */
  read(
    target: Uint8Array,
    position: number,
    done: (error: SystemError, byteCount: number) => void,
  ): void {
    let byteCount = 0;
    const ended = (error: SystemError) => done(error, byteCount);
    const run = (handle: number) => {
      const end = this.#ending(ended);
      const step = () => {
        const left = target.length - byteCount;
        fs.read(handle, target, byteCount, left, position + byteCount, (error, count) => {
          if (error) return end(error);
          byteCount += count;
          if (count > 0 && byteCount < target.length) step();
          else end(null);
        });
      };
      step();
    };
    this.#use({ create: false, run, failed: ended });
  }

  /** Makes the file's data durable, and its size if that changed. */
  sync(done: Done): void {
    const run = (handle: number) => fs.fdatasync(handle, this.#ending(done));
    this.#use({ create: false, run, failed: done });
  }

  /**
   * Truncates the file to `size`, or extends it with zeros; creates the file if it does not exist.
   */
  truncate(size: number, done: Done): void {
    const run = (handle: number) => fs.ftruncate(handle, size, this.#ending(done));
    this.#use({ create: true, run, failed: done });
  }

  /** Closes the file when all operations in progress have ended; it must not be used afterwards. */
  release(): void {
    this.#released = true;
    this.#closeIfDone();
  }

  #use(waiting: Waiting): void {
    if (this.#handle !== undefined && this.#writer !== undefined) {
      this.#underWay++;
      waiting.run(this.#handle, this.#writer);
      return;
    }
    this.#waiting.push(waiting);
    this.#open();
  }

  #open(): void {
    if (this.#opening) return;
    this.#opening = true;
    const create = this.#waiting.some((waiting) => waiting.create);
    const flags = fs.constants.O_RDWR | (create ? fs.constants.O_CREAT : 0);
    fs.open(this.#path, flags, FILE_MODE, (error, handle) => {
      this.#opening = false;
      if (error) return this.#notOpened(error, create);
      this.#handle = handle;
      this.#writer = positionalWriter(this.#path, handle);
      const waiting = this.#waiting;
      this.#waiting = [];
      this.#underWay += waiting.length;
      for (const { run } of waiting) run(this.#handle, this.#writer);
      this.#closeIfDone();
    });
  }

  /**
   * Fails the waiting operations, but opens again for those added meanwhile that may create the
   * file.
   */
  #notOpened(error: SystemError, create: boolean): void {
    const failed = this.#waiting.filter((waiting) => create || !waiting.create);
    this.#waiting = this.#waiting.filter((waiting) => !create && waiting.create);
    if (this.#waiting.length > 0) this.#open();
    else this.#onFailed();
    for (const waiting of failed) waiting.failed(error);
  }

  #ending(done: Done): Done {
    return (error) => {
      this.#underWay--;
      this.#closeIfDone();
      done(error);
    };
  }

  #closeIfDone(): void {
    if (!this.#released || this.#underWay > 0 || this.#handle === undefined) return;
    this.#writer?.close();
    fs.closeSync(this.#handle);
    this.#handle = this.#writer = undefined;
  }
}
