/** The stream framing: claims of a header, and messages of several segments. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { receiptCodec, ringMapCodec } from "../../../schemas/gen/wire.ts";
import {
  FRAME_INCOMPLETE,
  type FrameLimits,
  frameTableBytes,
  FrameWriter,
  inspectFrame,
  joinSegments,
} from "../../../schemas/runtime.ts";

const LIMITS: FrameLimits = { frameBytesMax: 4_096, segmentsMax: 1 };
const FOREIGN: FrameLimits = { frameBytesMax: 4_096, segmentsMax: 16 };

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Returns a frame of 32-bit words, the units in which the encoding describes its pointers. */
function words32(...halves: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * halves.length));
  for (const [index, half] of halves.entries()) view.setUint32(4 * index, half >>> 0, true);
  return new Uint8Array(view.buffer);
}

function struct(offset: number, dataWords: number, pointerWords: number): [number, number] {
  return [offset << 2, dataWords | (pointerWords << 16)];
}

function far(word: number, segment: number, double = false): [number, number] {
  return [(word << 3) | (double ? 4 : 0) | 2, segment];
}

function receipts(): Uint8Array {
  const out = new FrameWriter({ bytesMax: 4_096 });
  for (let term = 1; term <= 3; term++) {
    receiptCodec.write(out, { appliedIndex: 9, term, node: 2, partition: 7, ageBoundMs: 100 });
  }
  return out.written.slice();
}

function refuses(run: () => unknown, code: string, pattern = /must/): void {
  try {
    run();
  } catch (error) {
    assert.instance(error, RegistryError);
    assert.is((error as RegistryError).code, code);
    assert.match((error as RegistryError).message, pattern);
    return;
  }
  assert.unreachable(`Not refused as ${code}`);
}

test("inspectFrame finds each frame of a stream that arrived whole", () => {
  const stream = receipts();
  const terms: number[] = [];
  for (let at = 0; at < stream.length;) {
    const size = inspectFrame(viewOf(stream), at, stream.length, LIMITS);
    terms.push(receiptCodec.decode(stream, at + 8, at + size).term);
    at += size;
  }
  assert.equal(terms, [1, 2, 3]);
});

test("inspectFrame needs exactly the table when a stream arrives byte by byte", () => {
  const stream = receipts();
  const size = stream.length / 3;
  for (let end = 0; end <= stream.length; end++) {
    const found = inspectFrame(viewOf(stream.slice(0, end)), 0, end, LIMITS);
    assert.is(found, end < 8 ? FRAME_INCOMPLETE : size);
  }
});

test("inspectFrame reads the same frames however a stream is split in two", () => {
  const stream = receipts();
  for (let split = 0; split <= stream.length; split++) {
    const terms: number[] = [];
    let start = 0;
    for (const end of [split, stream.length]) {
      for (;;) {
        const size = inspectFrame(viewOf(stream), start, end, LIMITS);
        if (size === FRAME_INCOMPLETE || start + size > end) break;
        terms.push(receiptCodec.decode(stream, start + 8, start + size).term);
        start += size;
      }
    }
    assert.equal(terms, [1, 2, 3]);
  }
});

test("inspectFrame refuses a claim of 2^27 segments after four bytes", () => {
  const header = words32(2 ** 27 - 1);
  refuses(() => inspectFrame(viewOf(header), 0, 4, FOREIGN), "too_large");
  refuses(() => inspectFrame(viewOf(words32(0xffff_ffff)), 0, 4, FOREIGN), "too_large");
});

test("inspectFrame refuses a second segment where one is allowed", () => {
  refuses(() => inspectFrame(viewOf(words32(1)), 0, 4, LIMITS), "too_large");
});

test("inspectFrame refuses a frame one word above the limit, and takes one at it", () => {
  const words = LIMITS.frameBytesMax / 8 - 1;
  assert.is(inspectFrame(viewOf(words32(0, words)), 0, 8, LIMITS), LIMITS.frameBytesMax);
  refuses(() => inspectFrame(viewOf(words32(0, words + 1)), 0, 8, LIMITS), "too_large");
  refuses(() => inspectFrame(viewOf(words32(0, 0xffff_ffff)), 0, 8, LIMITS), "too_large");
});

test("inspectFrame refuses segments that are too large together before the table is whole", () => {
  const table = words32(2, 400, 400, 1);
  refuses(() => inspectFrame(viewOf(table), 0, 12, FOREIGN), "too_large");
});

test("inspectFrame refuses a frame whose first segment is empty", () => {
  refuses(() => inspectFrame(viewOf(words32(0, 0)), 0, 8, LIMITS), "malformed");
  refuses(() => inspectFrame(viewOf(words32(1, 0, 1, 0)), 0, 16, FOREIGN), "malformed");
});

test("frameTableBytes is whole words for any number of segments", () => {
  assert.equal([1, 2, 3, 4, 16].map(frameTableBytes), [8, 16, 16, 24, 72]);
});

test("joinSegments follows a far pointer to a landing pad in another segment", () => {
  // Segment 0: a far root. Segment 1: the pad, and the struct after it.
  const frame = words32(1, 1, 5, 0, ...far(0, 1), ...struct(0, 4, 0), 9, 0, 1, 0, 2, 7, 100, 0);
  const receipt = receiptCodec.decode(joinSegments(frame, 0, frame.length));
  assert.equal(receipt, { appliedIndex: 9, term: 1, node: 2, partition: 7, ageBoundMs: 100 });
});

test("joinSegments follows a double-far pointer to content in a third segment", () => {
  const frame = words32(
    ...[2, 1, 2, 4],
    ...far(0, 1, true),
    ...[...far(0, 2), ...struct(0, 4, 0)],
    ...[9, 0, 1, 0, 2, 7, 100, 0],
  );
  const receipt = receiptCodec.decode(joinSegments(frame, 0, frame.length));
  assert.equal(receipt, { appliedIndex: 9, term: 1, node: 2, partition: 7, ageBoundMs: 100 });
});

test("joinSegments leaves a message of one segment as it is", () => {
  const frame = receipts().slice(0, 48);
  assert.equal(joinSegments(frame, 0, frame.length), frame.slice(8));
});

test("joinSegments refuses a frame that is not the size that its header claims", () => {
  const frame = receipts().slice(0, 40);
  refuses(() => joinSegments(frame, 0, frame.length), "malformed");
  refuses(() => joinSegments(frame, 0, 4), "malformed");
});

test("joinSegments refuses far pointers that lead nowhere", () => {
  const body = [...struct(0, 1, 0), 1, 0];
  for (
    const root of [
      far(0, 2), // no such segment
      far(0, 0xffff_ffff),
      far(2, 1), // beyond its segment
      far(0x1fff_ffff, 1),
      far(1, 1, true), // half a pad
      far(0, 0), // to itself: a pad that is a far pointer
    ]
  ) {
    const frame = words32(1, 1, 2, 0, ...root, ...body);
    refuses(() => joinSegments(frame, 0, frame.length), "malformed");
  }
});

test("joinSegments refuses a near pointer that leaves its own segment", () => {
  const frame = words32(1, 1, 1, 0, ...struct(0, 1, 0), 1, 0);
  refuses(() => joinSegments(frame, 0, frame.length), "malformed");
});

test("joinSegments refuses pointers that overlap, in steps bounded by the frame", () => {
  // Ten lists of ten elements; each element leads to the next list: 10^10 ways in 111 words.
  const halves = [...struct(0, 0, 1)];
  const lists = 10;
  const count = 10;
  const pointer = (from: number, to: number) => [
    ((to - from - 1) << 2) | 1,
    (count << 3) | 6,
  ];
  halves.push(...pointer(1, 2));
  for (let list = 0; list < lists; list++) {
    for (let index = 0; index < count; index++) {
      const from = 2 + list * count + index;
      halves.push(...(list === lists - 1 ? [0, 0] : pointer(from, 2 + (list + 1) * count)));
    }
  }
  const frame = words32(0, halves.length / 2, ...halves);
  refuses(() => joinSegments(frame, 0, frame.length), "malformed", /must not overlap/);
});

test("joinSegments refuses pointers that go round", () => {
  const frame = words32(0, 2, ...struct(0, 0, 1), ...struct(-1, 0, 1));
  refuses(() => joinSegments(frame, 0, frame.length), "malformed");
});

test("joinSegments refuses a capability", () => {
  const frame = words32(0, 2, ...struct(0, 0, 1), 3, 0);
  refuses(() => joinSegments(frame, 0, frame.length), "malformed");
});

test("a ring map of the largest size fits into a control frame", () => {
  const placements = Array.from({ length: 8_192 }, () => ({ leader: 1, replicas: [1, 2, 3] }));
  const out = new FrameWriter({ bytesMax: 1 << 20 });
  ringMapCodec.write(out, {
    epoch: { generation: 1, number: 1 },
    partitionCount: 8_192,
    hashKey: new Uint8Array(16),
    nodes: [],
    placements,
  });
  assert.equal(ringMapCodec.decode(out.bytes, 8, out.length).placements, placements);
});

test.run();
