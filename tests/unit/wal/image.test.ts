/** The image codec: the output equals the input for any chunking, and damaged data is refused. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytesEqual, concatBytes } from "../../../src/base/bytes.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { ImageDecoder, ImageEncoder } from "../../../src/wal/image.ts";
import type { WalImage } from "../../../schemas/gen/wal.ts";
import { counting } from "../../support/wal_samples.ts";

const logId = counting(1, 16);
const configuration = counting(9, 3);
const chunks = [counting(0, 5), new Uint8Array(0), counting(50, 100), counting(7, 64)];

function encode(number = 4): { bytes: Uint8Array; image: WalImage } {
  const encoder = new ImageEncoder({
    logId,
    number,
    index: 30,
    term: 2,
    groupId: 6,
    configuration,
  });
  const pieces: Uint8Array[] = [];
  for (const chunk of chunks) {
    encoder.chunk(chunk);
    pieces.push(encoder.take());
  }
  encoder.finish();
  pieces.push(encoder.take());
  return { bytes: concatBytes(pieces), image: encoder.mark() };
}

function decode(bytes: Uint8Array, image: WalImage, cuts: readonly number[] = []): Uint8Array {
  const found: Uint8Array[] = [];
  let headers = 0;
  const decoder = new ImageDecoder({ logId, groupId: 6, image }, {
    header: (header) => {
      headers++;
      assert.equal(header.configuration, configuration);
    },
    chunk: (data) => found.push(data.slice()),
  });
  let from = 0;
  for (const end of [...cuts, bytes.length]) from += decoder.push(bytes, from, end);
  decoder.finish();
  assert.is(headers, 1);
  return concatBytes(found);
}

test("image decoder returns what the encoder was given, whole, split at every offset, bytewise", () => {
  const { bytes, image } = encode();
  const content = concatBytes(chunks);
  assert.equal(decode(bytes, image), content);
  for (let cut = 0; cut <= bytes.length; cut++) assert.equal(decode(bytes, image, [cut]), content);
  assert.equal(decode(bytes, image, Array.from(bytes, (_, at) => at)), content);
});

test("image decoder refuses every flipped bit and every cut as corrupt", () => {
  const { bytes, image } = encode();
  const isCorrupt = (error: unknown) => error instanceof RegistryError && error.code === "corrupt";
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const wrong = bytes.slice();
    wrong[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => decode(wrong, image), isCorrupt);
  }
  for (let end = 0; end < bytes.length; end++) {
    assert.throws(() => decode(bytes.subarray(0, end), image), isCorrupt);
  }
});

test("image decoder refuses a whole image that is not the marked one", () => {
  const other = encode(5);
  const { image } = encode(4);
  assert.not(bytesEqual(other.bytes, encode(4).bytes));
  assert.throws(() => decode(other.bytes, image), /another image/);
  assert.throws(
    () => decode(encode(4).bytes, { ...image, checksum: image.checksum ^ 1 }),
    /checksum/,
  );
  assert.throws(() => decode(encode(4).bytes, { ...image, byteCount: 1 }), /must have 1 bytes/);
});

test("image decoder refuses what follows the end", () => {
  const { bytes, image } = encode();
  assert.throws(() => decode(concatBytes([bytes, bytes]), image), /is not allowed there/);
});

test("image encoder refuses a chunk beyond its limit", () => {
  const encoder = new ImageEncoder({
    logId,
    number: 1,
    index: 1,
    term: 1,
    groupId: 0,
    configuration,
  });
  assert.throws(() => encoder.chunk(new Uint8Array(4 * 1024 * 1024 + 1)), RangeError);
});

test.run();
