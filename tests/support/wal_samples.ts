/** One record of each op with fixed values: the content of the log's frozen vectors. */
import { Batch } from "../../src/wal/batch.ts";
import { ImageEncoder } from "../../src/wal/image.ts";

/** Returns bytes that count up from `first`. */
export function counting(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (first + at) & 0xff);
}

/** The log id of all samples. */
export const SAMPLE_LOG_ID = counting(0xa0, 16);

const SAMPLE_IMAGE = {
  index: 41,
  term: 7,
  number: 3,
  byteCount: 1_234,
  checksum: 0xdead_beef,
  configuration: counting(1, 5),
};

const SEAL = { logId: SAMPLE_LOG_ID, sequence: 1_000, position: 0x2_0000_1000, watermark: 0x1000 };

/** Returns a sealed batch of one record. */
function sealed(fill: (batch: Batch) => void): Uint8Array {
  const batch = new Batch();
  fill(batch);
  const size = batch.byteCount;
  return batch.seal(SEAL).slice(0, size);
}

/**
 * Returns each sample by name: the struct of its payload, and its bytes as our writer makes them.
 */
export function walSamples(): {
  name: string;
  schema: string;
  struct: string;
  bytes: Uint8Array;
}[] {
  const wal = (name: string, struct: string, fill: (batch: Batch) => void) => ({
    name,
    schema: "schemas/wal.capnp",
    struct,
    bytes: sealed(fill),
  });
  const encoder = new ImageEncoder({
    logId: SAMPLE_LOG_ID,
    number: 3,
    index: 41,
    term: 7,
    groupId: 9,
    configuration: counting(1, 5),
  });
  const image = (name: string, struct: string, add: () => void) => {
    add();
    return { name, schema: "schemas/image.capnp", struct, bytes: encoder.take() };
  };
  return [
    wal("append", "WalAppend", (batch) =>
      batch.append(9, 42, [
        { term: 7, kind: 0, data: counting(0x10, 11) },
        { term: 8, kind: 513, data: new Uint8Array(0) },
      ])),
    wal(
      "relocate",
      "WalRelocate",
      (batch) => batch.relocate(9, 42, 77, [{ term: 7, kind: 1, data: counting(0x20, 8) }]),
    ),
    wal(
      "hard_state",
      "WalHardState",
      (batch) => batch.hardState({ groupId: 9, term: 8, vote: 2 ** 53 - 1, commit: 41 }),
    ),
    wal("segment_header", "WalSegmentHeader", (batch) =>
      batch.segmentHeader(12, 3, [
        {
          groupId: 0,
          hasHardState: true,
          term: 8,
          vote: 5,
          commit: 41,
          image: undefined,
        },
        { groupId: 9, hasHardState: false, term: 0, vote: 0, commit: 0, image: SAMPLE_IMAGE },
      ])),
    wal("image_mark", "WalImageMark", (batch) => batch.imageMark(9, SAMPLE_IMAGE, false)),
    wal("watermark", "WalWatermark", (batch) => batch.watermark()),
    wal("forget", "WalForget", (batch) => batch.forget(9)),
    wal("image_install", "WalImageMark", (batch) => batch.imageMark(9, SAMPLE_IMAGE, true)),
    image("image_header", "ImageHeader", () => {}),
    image("image_chunk", "ImageChunk", () => encoder.chunk(counting(0x30, 21))),
    image("image_end", "ImageEnd", () => encoder.finish()),
  ];
}
