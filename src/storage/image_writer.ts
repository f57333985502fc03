/**
 * Writes images, a few at once: temporary file, sync, rename, folder sync, then the mark in the log. An
 * image is encoded write by write, each in the turn in which the one before is on disk, so that an image
 * of any size takes little of each turn. Only when the mark is durable does the image count, and its
 * predecessor may be removed. A crash between any two of these steps leaves the former image or the new
 * one complete, and at most unreferenced files, which the next start removes.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { IMAGE_WRITE_BYTES, IMAGES_AT_ONCE } from "../base/limits.ts";
import { ImageEncoder, newImageWriter } from "../wal/image.ts";
import { imageName, TEMPORARY_SUFFIX } from "../wal/segment.ts";
import type { ImageHeader } from "../../schemas/gen/image.ts";
import type { WalImage } from "../../schemas/gen/wal.ts";
import type { FrameWriter } from "../../schemas/runtime.ts";
import type { StorageFailure } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";

type Done = (error: RegistryError | undefined) => void;

/** Logs the mark of an image whose file is durable; calls `done` when the mark is durable too. */
export type LogImageMark = (image: WalImage, done: Done) => void;

/** The log whose images are written. */
export interface ImageLog {
  readonly isPoisoned: boolean;
  /** Reports that a sync failed. */
  poison(failure: StorageFailure): void;
}

/** An image to be written. */
interface Job {
  readonly header: ImageHeader;
  readonly content: ImageContent;
  readonly mark: LogImageMark;
  readonly done: Done;
}

/** Memory of an image that is being written, reused by others. */
interface WriteBuffers {
  readonly encoded: FrameWriter;
  readonly piece: Uint8Array;
}

/** An image that is being written. */
interface Writing extends Job {
  readonly encoder: ImageEncoder;
  readonly buffers: WriteBuffers;
}

/** The content of an image, taken in pieces of at most one write. */
class ImageContent {
  /** Bytes that were in memory from the start. */
  readonly heldBytes: number;
  readonly #chunks: Iterator<Uint8Array>;
  #chunk: Uint8Array = NO_BYTES;

  constructor(chunks: Iterable<Uint8Array>) {
    this.heldBytes = Array.isArray(chunks)
      ? chunks.reduce((sum: number, chunk: Uint8Array) => sum + chunk.length, 0)
      : 0;
    this.#chunks = chunks[Symbol.iterator]();
  }

  /** Returns the next piece, which is valid until the next one is taken; undefined after the last. */
  take(bytesMax: number): Uint8Array | undefined {
    while (this.#chunk.length === 0) {
      const { done, value } = this.#chunks.next();
      if (done === true) return undefined;
      // The rest is taken in later turns, in which the chunk may be overwritten.
      this.#chunk = value.length > bytesMax && this.heldBytes === 0 ? value.slice() : value;
    }
    const piece = this.#chunk.subarray(0, bytesMax);
    this.#chunk = this.#chunk.subarray(piece.length);
    return piece;
  }

  /** Ends it early. */
  end(): void {
    this.#chunks.return?.();
  }
}

const NO_BYTES = new Uint8Array(0);
/** Room for the last records of a write, which begin below its size. */
const PIECE_BYTES = 2 * IMAGE_WRITE_BYTES + 64 * 1024;

/** Writes the images of one log. */
export class ImageWriter {
  readonly #driver: StorageDriver;
  readonly #log: ImageLog;
  readonly #jobs: Job[] = [];
  readonly #writeBytes: number;
  /** Buffers that no image uses: leaving garbage for each costs more than encoding its records. */
  readonly #buffers: WriteBuffers[] = [];
  #underWay = 0;
  #pendingBytes = 0;
  #imagesWritten = 0;
  #bytesWritten = 0;
  #onDrained: (() => void) | undefined;

  /** @param writeBytes the size of a write. */
  constructor(driver: StorageDriver, log: ImageLog, writeBytes: number = IMAGE_WRITE_BYTES) {
    this.#driver = driver;
    this.#log = log;
    this.#writeBytes = writeBytes;
  }

  /** Bytes in memory that are not on disk yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get imagesWritten(): number {
    return this.#imagesWritten;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Takes `chunks` in this turn and later ones; each is copied before another one is taken. */
  write(
    header: ImageHeader,
    chunks: Iterable<Uint8Array>,
    mark: LogImageMark,
    done: Done,
  ): void {
    const content = new ImageContent(chunks);
    this.#pendingBytes += content.heldBytes;
    this.#jobs.push({ header, content, mark, done });
    this.#next();
  }

  /** Calls `done` when no image is in progress. */
  drain(done: () => void): void {
    this.#onDrained = done;
    this.#next();
  }

  #next(): void {
    while (this.#underWay < IMAGES_AT_ONCE) {
      const job = this.#jobs.shift();
      if (job === undefined) break;
      this.#underWay++;
      const buffers = this.#buffers.pop() ?? newBuffers();
      const encoder = new ImageEncoder(job.header, buffers.encoded);
      this.#writePiece({ ...job, encoder, buffers }, 0);
    }
    if (this.#underWay > 0) return;
    const done = this.#onDrained;
    this.#onDrained = undefined;
    done?.();
  }

  /** Encodes as much as one write takes, and writes it at `position`. */
  #writePiece(job: Writing, position: number): void {
    const file = imageName(job.header.number) + TEMPORARY_SUFFIX;
    let isWhole: boolean;
    try {
      isWhole = this.#encode(job);
    } catch (error) {
      // The state of one group, which must not end the log of all.
      return this.#abandon(job, file, toRegistryError(error));
    }
    const bytes = job.encoder.take(job.buffers.piece);
    this.#pendingBytes += bytes.length;
    this.#driver.submit({ kind: "write", file, position, bytes }, (failure) => {
      this.#pendingBytes -= bytes.length;
      if (failure !== undefined) return this.#abandon(job, file, notWritten(failure));
      if (isWhole) this.#sync(job, file);
      else this.#writePiece(job, position + bytes.length);
    });
  }

  /** Encodes as much as one write takes; returns whether that was the last of it. Throws what its chunks throw. */
  #encode({ content, encoder }: Writing): boolean {
    while (encoder.pendingBytes < this.#writeBytes) {
      const piece = content.take(this.#writeBytes);
      if (piece === undefined) {
        encoder.finish();
        return true;
      }
      encoder.chunk(piece);
    }
    return false;
  }

  #sync(job: Writing, temporary: string): void {
    const file = imageName(job.header.number);
    this.#driver.submit({ kind: "sync", file: temporary }, (failure) => {
      if (failure !== undefined) return this.#unsynced(job, failure);
      this.#driver.submit({ kind: "rename", file: temporary, to: file }, (renameFailure) => {
        if (renameFailure !== undefined) {
          return this.#abandon(job, temporary, notWritten(renameFailure));
        }
        this.#driver.submit({ kind: "syncFolder" }, (folderFailure) => {
          if (folderFailure !== undefined) return this.#unsynced(job, folderFailure);
          this.#mark(job, file);
        });
      });
    });
  }

  #mark(job: Writing, file: string): void {
    const image = job.encoder.mark();
    job.mark(image, (error) => {
      if (error !== undefined) return this.#abandon(job, file, error);
      this.#imagesWritten++;
      this.#bytesWritten += image.byteCount;
      this.#end(job, undefined);
    });
  }

  #unsynced(job: Writing, failure: StorageFailure): void {
    this.#log.poison(failure);
    this.#end(job, notWritten(failure));
  }

  #abandon(job: Writing, file: string, error: RegistryError): void {
    // Its mark may be on disk nevertheless; the next start removes unreferenced images.
    if (this.#log.isPoisoned) return this.#end(job, error);
    this.#driver.submit({ kind: "remove", file }, () => this.#end(job, error));
  }

  #end({ content, buffers, done }: Writing, error: RegistryError | undefined): void {
    content.end();
    this.#pendingBytes -= content.heldBytes;
    this.#underWay--;
    this.#buffers.push(buffers);
    done(error);
    this.#next();
  }
}

function newBuffers(): WriteBuffers {
  return { encoded: newImageWriter(), piece: new Uint8Array(PIECE_BYTES) };
}

function notWritten(failure: StorageFailure): RegistryError {
  return new RegistryError("storage_unavailable", `Image cannot be written: ${failure.message}`);
}
