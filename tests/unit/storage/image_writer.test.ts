/** Images as they are written: piece by piece, from chunks that are valid for one turn only. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes } from "../../../src/base/bytes.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { IMAGES_AT_ONCE } from "../../../src/base/limits.ts";
import type { ImageHeader } from "../../../schemas/gen/image.ts";
import type { WalImage } from "../../../schemas/gen/wal.ts";
import { ImageWriter } from "../../../src/storage/image_writer.ts";
import type { StorageFailure, StorageOperation } from "../../../src/storage/storage.ts";
import type { StorageDriver } from "../../../src/storage/storage_driver.ts";
import { ImageDecoder } from "../../../src/wal/image.ts";

const LOG_ID = new Uint8Array(16).fill(1);
const WRITE_BYTES = 100;
const SCRATCH = new Uint8Array(1_000);

function headerOf(number: number): ImageHeader {
  const configuration = new Uint8Array(0);
  return { logId: LOG_ID, number, index: 5, term: 1, groupId: number, configuration };
}

/** A disk whose operations the test completes. */
class Disk {
  readonly waiting: {
    readonly operation: StorageOperation;
    readonly done: (failure?: StorageFailure) => void;
  }[] = [];
  readonly files = new Map<string, Uint8Array>();
  readonly marks: WalImage[] = [];
  readonly writer: ImageWriter;

  constructor() {
    const driver = {
      submit: (operation: StorageOperation, done: (failure?: StorageFailure) => void) => {
        this.waiting.push({ operation, done });
      },
    };
    const log = { isPoisoned: false, poison: () => {} };
    this.writer = new ImageWriter(driver as unknown as StorageDriver, log, WRITE_BYTES);
  }

  /** Starts writing an image; returns the results. */
  write(number: number, chunks: Iterable<Uint8Array>): (RegistryError | undefined)[] {
    const results: (RegistryError | undefined)[] = [];
    const mark = (image: WalImage, done: (error: undefined) => void) => {
      this.marks.push(image);
      done(undefined);
    };
    this.writer.write(headerOf(number), chunks, mark, (error) => void results.push(error));
    return results;
  }

  /** Completes the oldest operation. */
  complete(failure?: StorageFailure): void {
    const { operation, done } = this.waiting.shift()!;
    if (operation.kind === "write" && failure === undefined) {
      const file = this.files.get(operation.file) ?? new Uint8Array(0);
      assert.is(operation.position, file.length);
      this.files.set(operation.file, concatBytes([file, operation.bytes]));
    }
    done(failure);
  }

  /** Returns the content of an image that was written. */
  content(number: number): Uint8Array {
    const image = this.marks.find((mark) => mark.number === number)!;
    const file = [...this.files].find(([name]) => name.includes(`${number}`))![1];
    const parts: Uint8Array[] = [];
    const expected = { logId: LOG_ID, groupId: number, image };
    const sink = { header: () => {}, chunk: (data: Uint8Array) => void parts.push(data.slice()) };
    const decoder = new ImageDecoder(expected, sink);
    assert.is(decoder.push(file, 0, file.length), file.length);
    decoder.finish();
    return concatBytes(parts);
  }
}

/** Yields chunks of some lengths in a buffer that all such images share. */
function* shared(value: number, lengths: readonly number[], log: string[] = []) {
  try {
    for (const length of lengths) {
      log.push(`${value}`);
      yield SCRATCH.subarray(0, length).fill(value);
    }
  } finally {
    log.push(`${value} ended`);
  }
}

/** Yields chunks of some lengths, and then throws. */
function* broken(lengths: readonly number[]) {
  yield* shared(1, lengths);
  throw new Error("broken");
}

test("ImageWriter: images that are written at once do not mix, though their chunks share memory", () => {
  const disk = new Disk();
  const lengths = [30, 90, 700, 1, 0, 64, 250];
  const sum = lengths.reduce((total, length) => total + length, 0);
  const results = [1, 2, 3].map((value) => disk.write(value, shared(value, lengths)));
  while (disk.waiting.length > 0) disk.complete();
  assert.equal(results, [[undefined], [undefined], [undefined]]);
  for (const value of [1, 2, 3]) {
    assert.equal(disk.content(value), new Uint8Array(sum).fill(value));
  }
  assert.is(disk.writer.pendingBytes, 0);
});

test("ImageWriter: a chunk is taken only when the write before it is on disk", () => {
  const disk = new Disk();
  const log: string[] = [];
  disk.write(1, shared(1, Array.from({ length: 6 }, () => 60), log));
  assert.ok(log.length <= 2);
  assert.is(disk.waiting.length, 1);
  const before = log.length;
  disk.complete();
  assert.ok(log.length > before && log.length <= before + 2);
  while (disk.waiting.length > 0) disk.complete();
  assert.is(log.at(-1), "1 ended");
});

test("ImageWriter: an image that cannot be written is ended, and the next one begins", () => {
  const disk = new Disk();
  const log: string[] = [];
  const results = Array.from({ length: IMAGES_AT_ONCE + 1 }, (_, at) => {
    return disk.write(at + 1, shared(at + 1, [90, 90, 90], log));
  });
  assert.not.ok(log.includes(`${IMAGES_AT_ONCE + 1}`));
  disk.complete({ code: "full", message: "no space" } as unknown as StorageFailure);
  while (disk.waiting.length > 0) disk.complete();
  assert.is(results[0]![0]?.code, "storage_unavailable");
  assert.ok(log.includes("1 ended"));
  assert.is(results.at(-1)!.length, 1);
  assert.is(results.at(-1)![0], undefined);
});

test("ImageWriter: chunks that throw end their image alone, with its first write or a later one", () => {
  for (const lengths of [[], [90, 90, 90]]) {
    const disk = new Disk();
    const failed = disk.write(1, broken(lengths));
    const written = disk.write(2, shared(2, [90, 90]));
    while (disk.waiting.length > 0) disk.complete();
    assert.equal(failed.map((error) => error?.code), ["internal"]);
    assert.equal(written, [undefined]);
    assert.equal(disk.marks.map(({ number }) => number), [2]);
    assert.is(disk.writer.pendingBytes, 0);
  }
});

test("ImageWriter: bytes that were in memory before count until they are on disk", () => {
  const disk = new Disk();
  disk.write(1, [new Uint8Array(1_000)]);
  assert.ok(disk.writer.pendingBytes >= 1_000);
  while (disk.waiting.length > 0) disk.complete();
  assert.is(disk.writer.pendingBytes, 0);
  assert.equal(disk.content(1), new Uint8Array(1_000));
});

test.run();
