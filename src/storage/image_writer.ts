/**
 * Writes images, one after another: temporary file, sync, rename, folder sync, then the mark in the
 * log. Only when the mark is durable does the image count, and its predecessor may be removed. A
 * crash between any two of these steps leaves the former image or the new one complete, and at most
 * unreferenced files, which the next start removes.
 */
import { RegistryError } from "../base/errors.ts";
import { IMAGE_WRITE_BYTES, IMAGES_AT_ONCE } from "../base/limits.ts";
import { ImageEncoder, newImageWriter } from "../wal/image.ts";
import { imageName, TEMPORARY_SUFFIX } from "../wal/segment.ts";
import type { ImageHeader } from "../../schemas/gen/image.ts";
import type { WalImage } from "../../schemas/gen/wal.ts";
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

interface Job {
  readonly image: WalImage;
  readonly pieces: Uint8Array[];
  readonly mark: LogImageMark;
  readonly done: Done;
}

/** Writes the images of one log. */
export class ImageWriter {
  readonly #driver: StorageDriver;
  readonly #log: ImageLog;
  readonly #jobs: Job[] = [];
  /**
   * Buffers reused by images: leaving garbage for each image costs more than encoding the records.
   */
  readonly #scratch = newImageWriter();
  readonly #buffers: Uint8Array[] = [];
  #underWay = 0;
  #pendingBytes = 0;
  #imagesWritten = 0;
  #bytesWritten = 0;
  #onDrained: (() => void) | undefined;

  constructor(driver: StorageDriver, log: ImageLog) {
    this.#driver = driver;
    this.#log = log;
  }

  /** Bytes encoded and not yet on disk. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get imagesWritten(): number {
    return this.#imagesWritten;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Encodes all of `chunks` before it returns, and writes them in later turns. */
  write(
    header: ImageHeader,
    chunks: Iterable<Uint8Array>,
    mark: LogImageMark,
    done: Done,
  ): void {
    const encoder = new ImageEncoder(header, this.#scratch);
    const pieces: Uint8Array[] = [];
    for (const chunk of chunks) {
      for (let from = 0; from < chunk.length; from += IMAGE_WRITE_BYTES) {
        encoder.chunk(chunk.subarray(from, from + IMAGE_WRITE_BYTES));
        if (encoder.pendingBytes >= IMAGE_WRITE_BYTES) pieces.push(encoder.take());
      }
    }
    encoder.finish();
    pieces.push(encoder.take(this.#bufferFor(encoder.pendingBytes)));
    const image = encoder.mark();
    this.#pendingBytes += image.byteCount;
    this.#jobs.push({ image, pieces, mark, done });
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
      this.#writePiece(job, 0, 0);
    }
    if (this.#underWay > 0) return;
    const done = this.#onDrained;
    this.#onDrained = undefined;
    done?.();
  }

  #writePiece(job: Job, ordinal: number, position: number): void {
    const bytes = job.pieces[ordinal];
    const file = imageName(job.image.number) + TEMPORARY_SUFFIX;
    if (bytes === undefined) return this.#sync(job, file);
    this.#driver.submit({ kind: "write", file, position, bytes }, (failure) => {
      if (failure !== undefined) return this.#abandon(job, file, notWritten(failure));
      this.#writePiece(job, ordinal + 1, position + bytes.length);
    });
  }

  #sync(job: Job, temporary: string): void {
    const file = imageName(job.image.number);
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

  #mark(job: Job, file: string): void {
    job.mark(job.image, (error) => {
      if (error !== undefined) return this.#abandon(job, file, error);
      this.#imagesWritten++;
      this.#bytesWritten += job.image.byteCount;
      this.#end(job, undefined);
    });
  }

  #unsynced(job: Job, failure: StorageFailure): void {
    this.#log.poison(failure);
    this.#end(job, notWritten(failure));
  }

  #abandon(job: Job, file: string, error: RegistryError): void {
    // Its mark may be on disk nevertheless; the next start removes unreferenced images.
    if (this.#log.isPoisoned) return this.#end(job, error);
    this.#driver.submit({ kind: "remove", file }, () => this.#end(job, error));
  }

  /** Returns a buffer for a last piece that is large enough to deserve one. */
  #bufferFor(bytes: number): Uint8Array | undefined {
    if (bytes < IMAGE_WRITE_BYTES / 16) return undefined;
    return this.#buffers.pop() ?? new Uint8Array(IMAGE_WRITE_BYTES);
  }

  /** Keeps the buffer of a last piece for the next image. */
  #keep(piece: Uint8Array): void {
    if (piece.buffer.byteLength !== IMAGE_WRITE_BYTES) return;
    if (this.#buffers.length < IMAGES_AT_ONCE) this.#buffers.push(new Uint8Array(piece.buffer));
  }

  #end(job: Job, error: RegistryError | undefined): void {
    this.#pendingBytes -= job.image.byteCount;
    this.#underWay--;
    this.#keep(job.pieces.at(-1)!);
    job.done(error);
    this.#next();
  }
}

function notWritten(failure: StorageFailure): RegistryError {
  return new RegistryError("storage_unavailable", `Image cannot be written: ${failure.message}`);
}
