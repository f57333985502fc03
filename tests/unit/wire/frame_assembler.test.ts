/** Frames from chunks: split anywhere, bounded independently of a header's claims. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes } from "../../../src/base/bytes.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { FrameAssembler } from "../../../src/wire/frame_assembler.ts";

const LIMITS = { frameBytesMax: 4_096, segmentsMax: 1 };

/** Returns a frame of that many words, filled with `mark`. */
function frame(words: number, mark: number): Uint8Array {
  const bytes = new Uint8Array(8 + words * 8).fill(mark, 8);
  new DataView(bytes.buffer).setUint32(0, 0, true);
  new DataView(bytes.buffer).setUint32(4, words, true);
  return bytes;
}

const FRAMES = [frame(1, 1), frame(70, 2), frame(3, 3), frame(100, 4), frame(2, 5)];
const WHOLE = concatBytes(FRAMES);

/** Returns copies of the frames that an assembler produces from chunks. */
function assembled(chunks: readonly Uint8Array[], limits = LIMITS): Uint8Array[] {
  const assembler = new FrameAssembler(limits);
  const frames: Uint8Array[] = [];
  for (const chunk of chunks) {
    assembler.push(chunk, (view, bytes, start, end) => {
      assert.is(view.byteLength, bytes.length, "the view sees exactly the bytes");
      assert.is(view.getUint8(start + 8), bytes[start + 8]!);
      frames.push(bytes.slice(start, end));
    });
  }
  assert.is(assembler.partialBytes, 0);
  return frames;
}

function refusal(bytes: Uint8Array, limits = LIMITS): string {
  try {
    new FrameAssembler(limits).push(bytes, () => {});
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
  return "taken";
}

test("FrameAssembler hands out all whole frames of one chunk, in order", () => {
  assert.equal(assembled([WHOLE]), FRAMES);
});

test("FrameAssembler gives the same frames byte by byte", () => {
  assert.equal(assembled(Array.from(WHOLE, (byte) => new Uint8Array([byte]))), FRAMES);
});

test("FrameAssembler gives the same frames split at every offset", () => {
  for (let at = 0; at <= WHOLE.length; at++) {
    assert.equal(assembled([WHOLE.slice(0, at), WHOLE.slice(at)]), FRAMES, `at ${at}`);
  }
});

test("FrameAssembler gives the same frames in pieces of every size", () => {
  for (let size = 2; size < 40; size++) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < WHOLE.length; at += size) chunks.push(WHOLE.slice(at, at + size));
    assert.equal(assembled(chunks), FRAMES, `pieces of ${size}`);
  }
});

test("FrameAssembler sees a chunk that is a view of a larger buffer", () => {
  const room = new Uint8Array(WHOLE.length + 31).fill(0xee);
  room.set(WHOLE, 13);
  assert.equal(assembled([room.subarray(13, 13 + WHOLE.length)]), FRAMES);
});

test("FrameAssembler keeps no view of a chunk that was split: it may be used again at once", () => {
  const assembler = new FrameAssembler(LIMITS);
  const chunk = FRAMES[1]!.slice(0, 50);
  const frames: Uint8Array[] = [];
  const take = (_view: DataView, bytes: Uint8Array, start: number, end: number) =>
    void frames.push(bytes.slice(start, end));
  assembler.push(chunk, take);
  assert.is(assembler.partialBytes, 50);
  chunk.fill(0xff);
  assembler.push(FRAMES[1]!.slice(50), take);
  assert.equal(frames, [FRAMES[1]!]);
});

test("FrameAssembler takes a frame of exactly its limit, and refuses one word more", () => {
  assert.is(refusal(frame(4_096 / 8 - 1, 1)), "taken");
  assert.is(refusal(frame(4_096 / 8, 1)), "too_large");
});

test("FrameAssembler refuses by the header alone, and keeps nothing for what it claims", () => {
  const huge = new Uint8Array(8);
  new DataView(huge.buffer).setUint32(4, 0xffff_ffff, true);
  assert.is(refusal(huge), "too_large");
  const segments = new Uint8Array(4);
  new DataView(segments.buffer).setUint32(0, 0xffff_fffe, true);
  assert.not.equal(refusal(segments), "taken");
  const within = new FrameAssembler({ frameBytesMax: 1 << 28, segmentsMax: 1 });
  const claimed = new Uint8Array(16);
  new DataView(claimed.buffer).setUint32(4, (1 << 25) - 2, true);
  within.push(claimed, () => {});
  assert.is(within.partialBytes, 16, "the buffer grows with what arrives");
});

test("FrameAssembler takes several segments where it is allowed to", () => {
  const words = [1, 2, 1];
  const bytes = new Uint8Array(16 + 32).fill(7, 16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, words.length - 1, true);
  words.forEach((count, index) => view.setUint32(4 + index * 4, count, true));
  assert.not.equal(refusal(bytes), "taken");
  const wide = { frameBytesMax: 4_096, segmentsMax: 4 };
  assert.equal(assembled([bytes], wide), [bytes]);
  for (let at = 1; at < bytes.length; at++) {
    assert.equal(assembled([bytes.slice(0, at), bytes.slice(at)], wide), [bytes]);
  }
});

test("FrameAssembler passes on what its handler throws", () => {
  const assembler = new FrameAssembler(LIMITS);
  assert.throws(() =>
    assembler.push(FRAMES[0]!, () => {
      throw new Error("handler");
    }), "handler");
});

test.run();
