/**
 * The `capnp` program as an oracle for many structs at once. For each message the tool reads all
 * schemas again, so the messages of all structs travel in envelopes: structs of a schema that exists
 * only here, whose one pointer is to the message's own root. A batch is a list of envelopes.
 *
 * Each result is checked by the test of its struct. If the tool refuses a shared input, each struct is
 * converted by itself, so that only the tests of those at fault fail.
 */
import { type FrameLimits, inspectFrame, joinSegments, WORD_BYTES } from "../../schemas/runtime.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { FILES, root, STRUCTS } from "./schemas.ts";

/** Segments of one struct's messages, by the name of the struct. */
export type Segments = ReadonlyMap<string, readonly Uint8Array[]>;

/** Words of a batch before its envelopes: the root pointer, its struct, and the tag of the list. */
const BATCH_WORDS = 3;
/** An envelope as a pointer gives its sizes: a word of data, the discriminant, and a pointer. */
const ENVELOPE_SIZES = 1 << 16 | 1;
/** Words of an envelope's message before its pointer: the root pointer and the discriminant. */
const ENVELOPE_WORDS = 2;
const FRAME_LIMITS: FrameLimits = { frameBytesMax: 1 << 24, segmentsMax: 16 };
/** The id of the envelope's schema. */
const ENVELOPE_ID = "0xd1f0c6a3be5b7a11";

const names = [...STRUCTS.keys()];

function memberOf(struct: string): string {
  return `m${names.indexOf(struct)}`;
}

function envelopeSchema(): string {
  const imports = FILES.map(({ name }, at) => `using File${at} = import "/schemas/${name}.capnp";`);
  const members = names.map((name) => {
    const file = FILES.findIndex(({ structs }) => structs.some((struct) => struct.name === name));
    return `  ${memberOf(name)} @${names.indexOf(name)} :File${file}.${name};`;
  });
  return [
    ...[`@${ENVELOPE_ID};`, ...imports],
    ...["struct Batch { all @0 :List(Envelope); }", "struct Envelope { union {", ...members, "} }"],
  ].join("\n");
}

/** Runs `capnp convert` on messages of one type of that schema. */
function convert(
  type: "Batch" | "Envelope",
  format: string,
  input: Uint8Array,
  options: readonly string[] = [],
): Uint8Array {
  const folder = Deno.makeTempDirSync({ prefix: "crs-schemas-" });
  try {
    const [message, schema] = [`${folder}/message`, `${folder}/envelope.capnp`];
    // A file instead of a pipe, because Deno cannot write standard input synchronously.
    Deno.writeFileSync(message, input);
    Deno.writeTextFileSync(schema, envelopeSchema());
    const { success, stdout, stderr } = new Deno.Command("sh", {
      args: [
        ...["-c", 'input=$0; exec capnp convert --quiet "$@" < "$input"', message],
        ...[`-I${decodeURIComponent(root.pathname)}`, ...options, format, schema, type],
      ],
    }).outputSync();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return stdout;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Returns a conversion of the messages of all structs by one run of the tool, and of one by its own. */
function shared<Input, Output>(
  inputs: ReadonlyMap<string, Input>,
  run: (inputs: ReadonlyMap<string, Input>) => ReadonlyMap<string, Output>,
): (struct: string) => Output {
  let outputs: ReadonlyMap<string, Output> | undefined;
  let isRefused = false;
  return (struct) => {
    try {
      if (!isRefused) outputs ??= run(inputs);
    } catch {
      isRefused = true;
    }
    const found = (outputs ?? run(new Map([[struct, inputs.get(struct)!]]))).get(struct);
    if (found === undefined) throw new Error(`capnp returned no message of ${struct}`);
    return found;
  };
}

/** Returns for each struct what the tool prints for its messages, as one JSON value each. */
export function toolJson(inputs: Segments): (struct: string) => readonly unknown[] {
  return shared(inputs, (inputs) => {
    const printed = convert("Batch", "binary:json", batch(inputs));
    const { all } = JSON.parse(new TextDecoder().decode(printed)) as { all: object[] };
    return dealt(inputs, all, (envelope, struct) => {
      const [[member, value], ...more] = Object.entries(envelope) as [[string, unknown]];
      if (member !== memberOf(struct) || more.length > 0) {
        throw new Error(`capnp read ${struct} as ${Object.keys(envelope)}`);
      }
      return value;
    });
  });
}

/** Returns for each struct the segments that the tool writes for JSON values. */
export function toolSegments(
  inputs: ReadonlyMap<string, readonly unknown[]>,
): (struct: string) => readonly Uint8Array[] {
  return shared(inputs, (inputs) => {
    const all = [...inputs].flatMap(([struct, values]) =>
      values.map((value) => ({ [memberOf(struct)]: value }))
    );
    const json = new TextEncoder().encode(JSON.stringify({ all }));
    const written = convert("Batch", "json:binary", json);
    return unbatched(inputs, joinSegments(written, 0, written.length));
  });
}

/**
 * Returns for each struct its messages as the tool splits them into segments of the size that
 * `segmentWords` gives for the struct.
 */
export function toolSplit(
  inputs: Segments,
  segmentWords: (segments: readonly Uint8Array[]) => number,
): (struct: string) => readonly Uint8Array[] {
  return shared(inputs, (inputs) => {
    const bySize = Map.groupBy(inputs, ([, segments]) => segmentWords(segments));
    const outputs = new Map<string, readonly Uint8Array[]>();
    for (const [size, some] of bySize) {
      const same = new Map(some);
      const written = convert("Envelope", "binary:binary", envelopes(same), [
        `--segment-size=${size}`,
      ]);
      for (const [struct, found] of dealt(same, split(written), unwrapped)) {
        outputs.set(struct, found);
      }
    }
    return outputs;
  });
}

/**
 * Returns for each struct the canonical forms of its messages. The tool canonicalizes one message
 * only; the canonical form of a batch holds those of its messages one after another.
 */
export function toolCanonical(inputs: Segments): (struct: string) => readonly Uint8Array[] {
  return shared(inputs, (inputs) => {
    return unbatched(inputs, convert("Batch", "binary:canonical", batch(inputs)));
  });
}

/** Returns the outputs in order, as many for each struct as it has inputs. */
function dealt<Found, Output>(
  inputs: ReadonlyMap<string, readonly unknown[]>,
  found: readonly Found[],
  read: (found: Found, struct: string) => Output,
): Map<string, Output[]> {
  const outputs = new Map<string, Output[]>();
  let at = 0;
  for (const [struct, { length }] of inputs) {
    outputs.set(struct, found.slice(at, at + length).map((one) => read(one, struct)));
    at += length;
  }
  if (at !== found.length) throw new Error(`capnp returned ${found.length} of ${at} messages`);
  return outputs;
}

/** Returns the frames of envelopes around segments, whose root pointers become the envelopes'. */
function envelopes(inputs: Segments): Uint8Array {
  const frames: Uint8Array[] = [];
  for (const [struct, segments] of inputs) {
    for (const segment of segments) {
      const words = ENVELOPE_WORDS + segment.length / WORD_BYTES;
      const frame = new Uint8Array((1 + words) * WORD_BYTES);
      const view = new DataView(frame.buffer);
      view.setUint32(4, words, true);
      view.setUint32(WORD_BYTES + 4, ENVELOPE_SIZES, true);
      view.setUint16(2 * WORD_BYTES, names.indexOf(struct), true);
      frame.set(segment, (1 + ENVELOPE_WORDS) * WORD_BYTES);
      frames.push(frame);
    }
  }
  return concatBytes(frames);
}

/** Returns the frame of a batch of segments, whose root pointers become the envelopes'. */
function batch(inputs: Segments): Uint8Array {
  const segments = [...inputs].flatMap(([struct, some]) =>
    some.map((segment) => ({ struct, segment }))
  );
  const bodies = concatBytes(segments.map(({ segment }) => segment.subarray(WORD_BYTES)));
  let bodyAt = BATCH_WORDS + 2 * segments.length;
  const words = bodyAt + bodies.length / WORD_BYTES;
  const frame = new Uint8Array((1 + words) * WORD_BYTES);
  new DataView(frame.buffer).setUint32(4, words, true);
  frame.set(bodies, (1 + bodyAt) * WORD_BYTES);
  const view = new DataView(frame.buffer, WORD_BYTES);
  writePointer(view, 0, { target: 1, sizes: 1 << 16 });
  view.setUint32(WORD_BYTES, 1, true);
  view.setUint32(WORD_BYTES + 4, 2 * segments.length << 3 | 7, true);
  view.setUint32(2 * WORD_BYTES, segments.length << 2, true);
  view.setUint32(2 * WORD_BYTES + 4, ENVELOPE_SIZES, true);
  for (const [index, { struct, segment }] of segments.entries()) {
    const at = BATCH_WORDS + 2 * index;
    view.setUint16(at * WORD_BYTES, names.indexOf(struct), true);
    const pointer = structPointer(viewOf(segment), 0);
    writePointer(view, at + 1, { ...pointer, target: bodyAt - 1 + pointer.target });
    bodyAt += segment.length / WORD_BYTES - 1;
  }
  return frame;
}

/**
 * Returns the segments of a batch that the tool has written: it writes the words of each message
 * before those of the next one. (Otherwise decoding fails, because pointers lead out of them.)
 */
function unbatched(
  inputs: ReadonlyMap<string, readonly unknown[]>,
  words: Uint8Array,
): Map<string, Uint8Array[]> {
  const view = viewOf(words);
  const list = structPointer(view, 0).target;
  const tag = list + 1 + (view.getInt32(list * WORD_BYTES, true) >> 2);
  if (view.getUint32(tag * WORD_BYTES + 4, true) !== ENVELOPE_SIZES) {
    throw new Error("capnp wrote no list of envelopes");
  }
  const count = view.getUint32(tag * WORD_BYTES, true) >>> 2;
  const found: { discriminant: number; segment: Uint8Array }[] = [];
  let end = words.length / WORD_BYTES;
  for (let index = count - 1; index >= 0; index--) {
    const at = tag + 1 + 2 * index;
    const { target, sizes } = structPointer(view, at + 1);
    const start = sizes === 0 ? end : target;
    const segment = new Uint8Array((1 + end - start) * WORD_BYTES);
    segment.set(words.subarray(start * WORD_BYTES, end * WORD_BYTES), WORD_BYTES);
    writePointer(viewOf(segment), 0, { target: 1, sizes });
    found.unshift({ discriminant: view.getUint16(at * WORD_BYTES, true), segment });
    end = start;
  }
  return dealt(inputs, found, ({ discriminant, segment }, struct) => {
    if (discriminant !== names.indexOf(struct)) throw new Error(`capnp wrote no ${struct}`);
    return segment;
  });
}

/** Returns the segment in an envelope's frame, with the struct's own root. */
function unwrapped(frame: Uint8Array, struct: string): Uint8Array {
  const segment = joinSegments(frame, 0, frame.length);
  const view = viewOf(segment);
  const { target: envelope } = structPointer(view, 0);
  if (view.getUint16(envelope * WORD_BYTES, true) !== names.indexOf(struct)) {
    throw new Error(`capnp wrote no ${struct}`);
  }
  writePointer(view, 0, structPointer(view, envelope + 1));
  return segment;
}

/** A pointer to a struct. */
interface StructPointer {
  /** The word at which the struct stands, of those that the pointer is in. */
  readonly target: number;
  /** Its words of data and its pointers, as the pointer holds them. */
  readonly sizes: number;
}

function structPointer(view: DataView, at: number): StructPointer {
  const low = view.getInt32(at * WORD_BYTES, true);
  const sizes = view.getUint32(at * WORD_BYTES + 4, true);
  if ((low & 3) !== 0 || (low === 0 && sizes === 0)) {
    throw new Error(`Word ${at} points to no struct`);
  }
  return { target: at + 1 + (low >> 2), sizes };
}

function writePointer(view: DataView, at: number, { target, sizes }: StructPointer): void {
  // A struct of no words stands before its own pointer.
  view.setInt32(at * WORD_BYTES, (sizes === 0 ? -1 : target - at - 1) << 2, true);
  view.setUint32(at * WORD_BYTES + 4, sizes, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Splits a stream of frames, which may have several segments each. */
function split(stream: Uint8Array): Uint8Array[] {
  const view = viewOf(stream);
  const frames: Uint8Array[] = [];
  for (let at = 0; at < stream.length;) {
    const size = inspectFrame(view, at, stream.length, FRAME_LIMITS);
    frames.push(stream.subarray(at, at + size));
    at += size;
  }
  return frames;
}
