/**
 * Reads the images that the log's marks name, one after another, and passes on their chunks. An
 * image that is missing or differs from its mark is corruption: the start is refused.
 */
import { RegistryError } from "../base/errors.ts";
import { WAL_READ_BYTES } from "../base/limits.ts";
import { ImageDecoder } from "../wal/image.ts";
import type { GroupLedger } from "../wal/ledger.ts";
import { imageName } from "../wal/segment.ts";
import type { WalImage } from "../../schemas/gen/wal.ts";
import type { StorageDriver } from "./storage_driver.ts";

/** Receiver of the images. */
export interface ImageVisitor {
  start(groupId: number, image: WalImage): void;
  chunk(groupId: number, data: Uint8Array): void;
  finish(groupId: number): void;
  /** Called when all images were read, or with the error that ended reading. */
  end(error: unknown): void;
}

/** Reads the images of some groups. */
export class ImageReader {
  readonly #driver: StorageDriver;
  readonly #logId: Uint8Array;
  readonly #groups: GroupLedger[];
  readonly #visitor: ImageVisitor;
  #buffer = new Uint8Array(0);

  constructor(
    driver: StorageDriver,
    logId: Uint8Array,
    groups: Iterable<GroupLedger>,
    visitor: ImageVisitor,
  ) {
    this.#driver = driver;
    this.#logId = logId;
    this.#groups = [...groups].filter(({ image }) => image !== undefined);
    this.#visitor = visitor;
  }

  /** Starts reading; `visitor.end` is called at the end, or at once when there is no image. */
  start(): void {
    this.#group(0);
  }

  #group(ordinal: number): void {
    const group = this.#groups[ordinal];
    const image = group?.image;
    if (group === undefined || image === undefined) return this.#visitor.end(undefined);
    const { groupId } = group;
    const file = imageName(image.number);
    const decoder = new ImageDecoder({ logId: this.#logId, groupId, image }, {
      header: () => this.#visitor.start(groupId, image),
      chunk: (data) => this.#visitor.chunk(groupId, data),
    });
    this.#read(file, decoder, image.byteCount, 0, (error) => {
      if (error === undefined) {
        try {
          decoder.finish();
          this.#visitor.finish(groupId);
        } catch (thrown) {
          return this.#visitor.end(named(file, thrown));
        }
        this.#driver.submit({ kind: "release", file }, () => this.#group(ordinal + 1));
      } else {
        this.#visitor.end(named(file, error));
      }
    });
  }

  /** Continues reading after the `carried` bytes at the buffer's start. */
  #read(
    file: string,
    decoder: ImageDecoder,
    size: number,
    carried: number,
    done: (error: unknown) => void,
  ): void {
    const position = decoder.offset + carried;
    const length = Math.min(WAL_READ_BYTES, size - position);
    if (length <= 0) return done(undefined);
    this.#reserve(carried, carried + length);
    const target = this.#buffer.subarray(carried, carried + length);
    this.#driver.submit({ kind: "read", file, position, target }, (failure, { byteCount }) => {
      if (failure !== undefined) {
        const code = failure.kind === "not_found" ? "corrupt" : "storage_unavailable";
        return done(new RegistryError(code, failure.message));
      }
      const end = carried + byteCount;
      let used: number;
      try {
        used = decoder.push(this.#buffer, 0, end);
      } catch (error) {
        return done(error);
      }
      this.#buffer.copyWithin(0, used, end);
      if (byteCount < length) return done(undefined);
      this.#read(file, decoder, size, end - used, done);
    });
  }

  #reserve(carried: number, length: number): void {
    if (length <= this.#buffer.length) return;
    const grown = new Uint8Array(length);
    grown.set(this.#buffer.subarray(0, carried));
    this.#buffer = grown;
  }
}

function named(file: string, error: unknown): unknown {
  if (!(error instanceof RegistryError) || error.code !== "corrupt") return error;
  return new RegistryError(
    "corrupt",
    `Cannot open the log as ${file} is damaged: ${error.message}. Restore the folder from a copy`,
    { field: file },
    error,
  );
}
