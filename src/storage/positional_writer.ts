/**
 * Writes to one file at given positions, without blocking the event loop.
 *
 * Contract: `write` calls back once, when all bytes are written or with the first error. Writes
 * that do not overlap may run concurrently. `close` must follow the last callback.
 *
 * Deno 2.9.6 runs `fs.write` of `node:fs` on the main thread, although it takes a callback, so one
 * slow disk write blocks everything. `Deno.FsFile.write` runs on a thread of its own, at the file's
 * offset. On Deno each write in progress therefore has a file of its own, whose offset is moved
 * first (no disk access). Node's `fs.write` uses its thread pool.
 */
import fs from "node:fs";

/** Success is `null` by Node's types, and `undefined` in some of Deno's calls. */
export type SystemError = NodeJS.ErrnoException | null | undefined;

/** A writer to one file. */
export interface PositionalWriter {
  /** Writes all of `bytes`, which belong to the writer until `done`. */
  write(bytes: Uint8Array, position: number, done: (error: SystemError) => void): void;
  close(): void;
}

/** Returns a writer for the existing file at `path`, which is also open as `handle`. */
export function positionalWriter(path: string, handle: number): PositionalWriter {
  return "Deno" in globalThis ? new OffsetWriter(path) : new HandleWriter(handle);
}

/** Files kept open for writes: one for appended data, one for zeros written ahead. */
const IDLE_FILES_MAX = 2;

interface OffsetFile {
  readonly file: Deno.FsFile;
  offset: number;
}

class OffsetWriter implements PositionalWriter {
  readonly #path: string;
  #idle: OffsetFile[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  write(bytes: Uint8Array, position: number, done: (error: SystemError) => void): void {
    // Called outside of the promise, so that an exception in the callback does not become a write
    // error.
    this.#write(bytes, position).then(
      () => queueMicrotask(() => done(undefined)),
      (error) => queueMicrotask(() => done(error as NodeJS.ErrnoException)),
    );
  }

  close(): void {
    for (const { file } of this.#idle) file.close();
    this.#idle = [];
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    const writer = this.#take(position) ??
      { file: await Deno.open(this.#path, { write: true }), offset: 0 };
    try {
      if (writer.offset !== position) writer.file.seekSync(position, Deno.SeekMode.Start);
      let written = 0;
      while (written < bytes.length) {
        written += await writer.file.write(written === 0 ? bytes : bytes.subarray(written));
      }
    } catch (error) {
      writer.file.close();
      throw error;
    }
    writer.offset = position + bytes.length;
    if (this.#idle.length < IDLE_FILES_MAX) this.#idle.push(writer);
    else writer.file.close();
  }

  /** Takes an idle file, preferably one with the right offset. */
  #take(position: number): OffsetFile | undefined {
    const right = this.#idle.findIndex(({ offset }) => offset === position);
    return this.#idle.splice(right === -1 ? 0 : right, 1)[0];
  }
}

class HandleWriter implements PositionalWriter {
  readonly #handle: number;

  constructor(handle: number) {
    this.#handle = handle;
  }

  write(bytes: Uint8Array, position: number, done: (error: SystemError) => void): void {
    fs.write(this.#handle, bytes, 0, bytes.length, position, (error, count) => {
      if (error || count === bytes.length) done(error);
      else this.write(bytes.subarray(count), position + count, done);
    });
  }

  /** Does nothing: the owner closes the handle. */
  close(): void {}
}
