/**
 * Writes to one file at given positions, without holding up the event loop.
 *
 * Contract: `write` calls back once, when all bytes are written or the first error came. Writes may
 * run side by side where they do not overlap. `close` follows the last callback.
 *
 * Deno 2.9.6 runs `fs.write` of `node:fs` on the main thread, whatever its callback suggests, so one
 * slow disk write stops everything; `Deno.FsFile.write` runs on a thread of its own, at the file's
 * offset. So on Deno each write under way has a file of its own, whose offset is moved first (no
 * disk access). Node's `fs.write` uses its thread pool.
 */
import fs from "node:fs";

/** Success is `null` by Node's types, and `undefined` in some of Deno's calls. */
export type SystemError = NodeJS.ErrnoException | null | undefined;

/** Where writes to one file go. */
export interface PositionalWriter {
  /** Writes all of `bytes`, which are the writer's until `done`. */
  write(bytes: Uint8Array, position: number, done: (error: SystemError) => void): void;
  close(): void;
}

/** Returns a writer for the existing file at `path`, which is also open as `handle`. */
export function positionalWriter(path: string, handle: number): PositionalWriter {
  return "Deno" in globalThis ? new OffsetWriter(path) : new HandleWriter(handle);
}

/** Files kept open for writes: one for what is appended, one for what is laid down ahead. */
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
    // The outcome is told outside of the promise: what a callback throws is not the write's error.
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

  /** Takes an idle file, one whose offset is right if there is one. */
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

  /** The handle is its owner's to close. */
  close(): void {}
}
