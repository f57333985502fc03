/**
 * Hostile messages: any bytes give a value or a coded error, in a number of steps bounded by a
 * constant times their size. The test does not rely on the runtime's own budget: a DataView that
 * counts its reads, and the size of the resulting value, measure the steps from outside.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../src/base/errors.ts";
import { extraCodec } from "../../schemas/gen/record.ts";
import { listReplyCodec, ringMapCodec } from "../../schemas/gen/wire.ts";
import {
  FRAME_INCOMPLETE,
  inspectFrame,
  joinSegments,
  type StructList,
  type StructView,
  traversalStepsMax,
} from "../../schemas/runtime.ts";
import { cases } from "../support/cases.ts";
import { type Sample, samples } from "../support/schema_samples.ts";
import { type AnyCodec, codecOf, CODECS } from "../support/schemas.ts";

/** Reads of the bytes per step of the budget: an object of sixty fields costs eight steps. */
const READS_PER_STEP = 16;
/** Steps per object, which costs more than the reads for it. */
const STEPS_PER_OBJECT = 8;
/** Characters, bytes and fields that one step may add to a value. */
const OUTPUT_PER_STEP = 16;

/** Returns a view of `bytes` that counts the reads through it. */
function countingView(
  bytes: Uint8Array,
): { readonly view: DataView; readonly count: () => number } {
  const inner = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let reads = 0;
  for (const name of ["getInt32", "getUint16", "getUint32", "getFloat32", "getFloat64"] as const) {
    view[name] = (at: number, little?: boolean): number => {
      reads++;
      return inner[name](at, little);
    };
  }
  view.getUint8 = (at: number): number => {
    reads++;
    return inner.getUint8(at);
  };
  return { view, count: () => reads };
}

/** Returns the size of a value: its characters, bytes, fields and elements. */
function outputOf(value: unknown): number {
  if (typeof value === "string" || value instanceof Uint8Array) return 1 + value.length;
  if (typeof value !== "object" || value === null) return 1;
  let output = 1;
  for (const inner of Object.values(value)) output += outputOf(inner);
  return output;
}

/** Returns the number of objects in a value, lists and bytes excluded. */
function objectsOf(value: unknown): number {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return 0;
  const inner = Object.values(value);
  // A group is an object of numbers that is created together with its struct.
  const own = Array.isArray(value) || inner.every((member) => typeof member === "number") ? 0 : 1;
  return inner.reduce<number>((sum, member) => sum + objectsOf(member), own);
}

function isCoded(error: unknown): boolean {
  return error instanceof RegistryError &&
    (error.code === "malformed" || error.code === "too_large");
}

let decoded = 0;
let refused = 0;

/** Decodes hostile bytes and checks the result and its cost. */
function attack(codec: AnyCodec, segment: Uint8Array): void {
  const { view, count } = countingView(segment);
  const steps = traversalStepsMax(segment.length);
  let value: Record<string, unknown>;
  try {
    value = codec.newView().wrap(view, segment, 0, segment.length).toPlain();
    decoded++;
  } catch (error) {
    if (!isCoded(error)) throw error;
    refused++;
    assert.ok(count() <= READS_PER_STEP * steps, `${count()} reads, ${steps} steps`);
    return;
  }
  assert.ok(count() <= READS_PER_STEP * steps, `${count()} reads, ${steps} steps`);
  const output = outputOf(value);
  assert.ok(output <= OUTPUT_PER_STEP * steps, `${output} of output, ${steps} steps`);
  assert.ok(objectsOf(value) * STEPS_PER_OBJECT <= steps, `${objectsOf(value)} objects`);
  assert.equal(codec.decode(codec.encode(value)), value);
}

type Mutation = (segment: DataView, word: number) => void;

/** A pointer of any kind, to a near or a far target, small or huge. */
const pointers: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom(0, 1, 1, 1, 2, 3),
  fc.oneof(fc.integer({ min: -40, max: 40 }), fc.integer({ min: -(2 ** 29), max: 2 ** 29 - 1 })),
  fc.oneof(
    fc.integer({ min: 0, max: 0xffff_ffff }),
    fc.tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 7 }))
      .map(([count, size]) => (count << 3) | size),
    fc.tuple(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 0, max: 11 }))
      .map(([data, count]) => data | (count << 16)),
    fc.constantFrom(0xffff_ffff, 0xffff_fff8 | 7, 0xffff_fff8 | 2, 0xffff_fff8, 0x10000),
  ),
).map(([kind, offset, high]) => (segment, word) => {
  segment.setInt32(8 * word, (offset << 2) | kind, true);
  segment.setUint32(8 * word + 4, high, true);
});

const flips: fc.Arbitrary<Mutation> = fc.integer({ min: 0, max: 63 }).map(
  (bit) => (segment, word) => {
    const at = 8 * word + (bit >> 3);
    segment.setUint8(at, segment.getUint8(at) ^ (1 << (bit & 7)));
  },
);

const bytes: fc.Arbitrary<Mutation> = fc.tuple(
  fc.integer({ min: 0, max: 7 }),
  fc.constantFrom(0, 1, 0x7f, 0x80, 0xc0, 0xf8, 0xff),
).map(([index, byte]) => (segment, word) => segment.setUint8(8 * word + index, byte));

/** Copies a word elsewhere: pointers that overlap, or point at themselves. */
const copies: fc.Arbitrary<Mutation> = fc.nat(1_000).map((from) => (segment, word) => {
  const source = from % (segment.byteLength / 8);
  segment.setBigUint64(8 * word, segment.getBigUint64(8 * source));
});

const mutations = fc.array(
  fc.tuple(fc.nat(10_000), fc.oneof(pointers, pointers, flips, bytes, copies)),
  { minLength: 1, maxLength: 6 },
);

function mutate(segment: Uint8Array, list: readonly (readonly [number, Mutation])[]): Uint8Array {
  const mutant = segment.slice();
  const view = new DataView(mutant.buffer);
  for (const [place, mutation] of list) mutation(view, place % (mutant.length / 8));
  return mutant;
}

const SAMPLES: readonly Sample[] = samples(3);
const codecs: readonly AnyCodec[] = [...CODECS.values()];

test("codec decode of a mutated message gives a value or a coded error in bounded steps", () => {
  decoded = refused = 0;
  fc.assert(
    fc.property(fc.nat(SAMPLES.length - 1), mutations, (index, list) => {
      const { codec, segment } = SAMPLES[index]!;
      attack(codec, mutate(segment, list));
    }),
    { seed: 4_711, numRuns: cases(20_000) },
  );
  // A fuzz run that sees only one of the two tests nothing.
  assert.ok(decoded > 1_000 && refused > 1_000, `${decoded} decoded, ${refused} refused`);
});

test("codec decode of another struct's message gives a value or a coded error", () => {
  for (const { segment } of SAMPLES) {
    for (const codec of codecs) attack(codec, segment);
  }
});

test("codec decode of random words gives a value or a coded error in bounded steps", () => {
  const words = fc.array(
    fc.oneof(
      fc.tuple(fc.integer({ min: -6, max: 20 }), fc.constantFrom(0, 1, 1), fc.nat(0x0002_0040))
        .map(([offset, kind, high]) => [(offset << 2) | kind, high]),
      fc.tuple(fc.integer(), fc.integer()),
    ),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(
    fc.property(fc.nat(codecs.length - 1), words, (index, list) => {
      attack(codecs[index]!, new Uint8Array(Int32Array.from(list.flat()).buffer));
    }),
    { seed: 4_712, numRuns: cases(5_000) },
  );
});

test("codec decode of a message cut or grown at every word gives a value or a coded error", () => {
  for (const { codec, segment } of SAMPLES) {
    for (let end = 0; end <= segment.length; end += 8) attack(codec, segment.slice(0, end));
    const grown = new Uint8Array(segment.length + 64).fill(0xff);
    grown.set(segment);
    attack(codec, grown);
  }
});

test("codec decode costs bounded steps where every pointer leads to the largest list", () => {
  // One composite list of structs whose pointers all lead back to that list: 2^depth without a
  // limit.
  for (const codec of codecs) {
    const { dataWords, pointerWords } = codec.layout;
    for (const elements of [1, 30, 3_000]) {
      const size = dataWords + pointerWords;
      const words = 1 + size + 1 + elements * 12;
      const segment = new Uint8Array(8 * words);
      const view = new DataView(segment.buffer);
      view.setUint32(4, dataWords | (pointerWords << 16), true);
      const tag = 1 + size;
      view.setInt32(8 * tag, elements << 2, true);
      view.setUint32(8 * tag + 4, 12 << 16, true);
      const toList = (word: number) => {
        view.setInt32(8 * word, ((tag - word - 1) << 2) | 1, true);
        view.setUint32(8 * word + 4, ((elements * 12) << 3) | 7, true);
      };
      for (let index = 0; index < pointerWords; index++) toList(1 + dataWords + index);
      for (let index = 0; index < elements * 12; index++) toList(tag + 1 + index);
      attack(codec, segment);
    }
  }
});

/**
 * Makes a pointer of every element of a list lead to the target of the last one's. `count` elements
 * that share what used 1/count of the message expand to a multiple of it.
 */
function share(segment: Uint8Array, list: StructList<unknown, StructView>, pointer: number): void {
  const view = new DataView(segment.buffer, segment.byteOffset);
  const pointerOf = (index: number) => list.at(index).$pointers + 8 * pointer;
  const last = pointerOf(list.count - 1);
  const target = last + 8 + (view.getInt32(last, true) >> 2) * 8;
  const kind = view.getInt32(last, true) & 3;
  for (let index = 0; index < list.count; index++) {
    const at = pointerOf(index);
    view.setInt32(at, (((target - at - 8) / 8) << 2) | kind, true);
    view.setUint32(at + 4, view.getUint32(last + 4, true), true);
  }
}

/** Returns `count` values of which only the last is `large`. */
function onlyLast<T>(count: number, small: T, large: T): T[] {
  return Array.from({ length: count }, (_, index) => index < count - 1 ? small : large);
}

function wrap<V extends StructView>(view: V, segment: Uint8Array): V {
  return view.wrap(new DataView(segment.buffer), segment, 0, segment.length);
}

const COUNTS = [2, 10, 60, 100, 700] as const;

test("codec decode of elements that share one list of numbers costs bounded steps", () => {
  for (const count of COUNTS) {
    const large = { leader: 1, replicas: Array.from({ length: 3_000 }, (_, index) => index) };
    const placements = onlyLast(count, { leader: 1, replicas: [] }, large);
    const segment = ringMapCodec.encode({ ...ringMapCodec.empty(), placements });
    share(segment, wrap(ringMapCodec.newView(), segment).placements, 0);
    attack(codecOf("RingMap"), segment);
  }
});

test("codec decode of elements that share one text costs bounded steps", () => {
  for (const count of COUNTS) {
    const large = { key: "k", value: "x".repeat(9_000) };
    const labels = onlyLast(count, { key: "k", value: "" }, large);
    const segment = extraCodec.encode({ ...extraCodec.empty(), labels });
    share(segment, wrap(extraCodec.newView(), segment).labels, 1);
    attack(codecOf("Extra"), segment);
  }
});

test("codec decode of elements that share one Data costs bounded steps", () => {
  for (const count of COUNTS) {
    const large = { record: new Uint8Array(9_000), remainingMs: 1 };
    const items = onlyLast(count, { record: new Uint8Array(0), remainingMs: 1 }, large);
    const segment = listReplyCodec.encode({ ...listReplyCodec.empty(), items });
    share(segment, wrap(listReplyCodec.newView(), segment).items, 0);
    attack(codecOf("ListReply"), segment);
  }
});

test("codec decode of elements that share one list of structs costs bounded objects", () => {
  for (const count of COUNTS) {
    const address = { transport: "", host: "", port: 1 };
    const empty = new Uint8Array(0);
    const node = { nodeId: 1, addresses: [], currentPin: empty, nextPin: empty, zone: "" };
    const large = { ...node, addresses: Array.from({ length: 700 }, () => address) };
    const nodes = onlyLast(count, node, large);
    const segment = ringMapCodec.encode({ ...ringMapCodec.empty(), nodes });
    share(segment, wrap(ringMapCodec.newView(), segment).nodes, 0);
    attack(codecOf("RingMap"), segment);
  }
});

test("frame of any header gives a size within the limits, wants more, or is refused", () => {
  const limits = { frameBytesMax: 65_536, segmentsMax: 16 };
  const halves = fc.array(
    fc.oneof(fc.nat(20), fc.constantFrom(0xffff_ffff, 2 ** 27, 2 ** 31), fc.nat(0xffff_ffff)),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(halves, fc.nat(3), (list, cut) => {
      const header = new Uint8Array(Uint32Array.from(list).buffer);
      const end = header.length - cut;
      const { view, count } = countingView(header.subarray(0, end));
      try {
        const size = inspectFrame(view, 0, end, limits);
        assert.ok(size === FRAME_INCOMPLETE || (size >= 16 && size <= limits.frameBytesMax));
      } catch (error) {
        if (!isCoded(error)) throw error;
      }
      assert.ok(count() <= 2 + limits.segmentsMax);
    }),
    { seed: 4_713, numRuns: cases(5_000) },
  );
});

test("joinSegments of mutated frames gives one segment no larger, or a coded error", () => {
  let joined = 0;
  fc.assert(
    fc.property(
      fc.nat(SAMPLES.length - 1),
      fc.array(fc.nat(1_000), { minLength: 1, maxLength: 15 }),
      mutations,
      (index, cuts, list) => {
        const { codec, segment } = SAMPLES[index]!;
        const frame = splitFrame(mutate(segment, list), cuts);
        try {
          const single = joinSegments(frame, 0, frame.length);
          joined++;
          assert.is(single.length, segment.length);
          attack(codec, single);
        } catch (error) {
          if (!isCoded(error)) throw error;
        }
      },
    ),
    { seed: 4_714, numRuns: 5_000 },
  );
  assert.ok(joined > 50, `${joined} joined`);
});

/**
 * Returns a frame of the words of `segment`, split into segments anywhere; its pointers stay
 * unchanged.
 */
function splitFrame(segment: Uint8Array, cuts: readonly number[]): Uint8Array {
  const words = segment.length / 8;
  const edges = [...new Set(cuts.map((cut) => 1 + cut % words)), words]
    .sort((left, right) => left - right);
  const counts = edges.map((edge, index) => edge - (edges[index - 1] ?? 0));
  const table = new Uint32Array(2 * Math.ceil((1 + counts.length) / 2));
  table.set([counts.length - 1, ...counts]);
  return Uint8Array.of(...new Uint8Array(table.buffer), ...segment);
}

test.run();
