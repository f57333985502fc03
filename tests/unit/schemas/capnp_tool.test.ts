/**
 * The `capnp` program as an oracle of the generated codecs, in both directions and for every
 * struct: it reads our output and finds it canonical, and we read its output.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { FieldModel, StructModel } from "../../../schemas/generator/model.ts";
import { FrameWriter, inspectFrame, joinSegments } from "../../../schemas/runtime.ts";
import {
  type AnyCodec,
  capnpConvert,
  hasAnyPointer,
  isEnvelope,
  type PlainStruct,
  STRUCTS,
  structValues,
  testEachStruct,
  type ValueOptions,
} from "../../support/schemas.ts";

const SAMPLES = 12;
/** Each costs a process, because the canonical form is that of one message. */
const CANONICAL_SAMPLES = 3;
/** Small enough that a record needs several segments. */
const SEGMENT_WORDS = 16;
/** The maximum accepted from foreign tools. */
const SEGMENTS_MAX = 16;

/** Returns the JSON that `capnp convert` would print for a value, with numbers as text. */
function toToolJson(fields: readonly FieldModel[], value: PlainStruct): PlainStruct {
  const json: PlainStruct = {};
  for (const field of fields) {
    const found = value[field.name];
    switch (field.kind) {
      case "group":
        json[field.name] = toToolJson(field.fields, found as PlainStruct);
        break;
      case "bytes": {
        // The tool sees a group of UInt64 members, whose names the caller fills in.
        json[field.name] = words(found as Uint8Array);
        break;
      }
      case "number":
        json[field.name] = field.type.endsWith("64") && !field.type.startsWith("float")
          ? String(found)
          : field.names?.[found as number] ?? found;
        break;
      case "data":
        if ((found as Uint8Array).length > 0) json[field.name] = [...found as Uint8Array];
        break;
      case "text":
        if (found !== "") json[field.name] = found;
        break;
      case "struct":
        if (found !== undefined) {
          json[field.name] = toToolJson(
            STRUCTS.get(field.struct.name)!.fields,
            found as PlainStruct,
          );
        }
        break;
      case "list":
        if ((found as unknown[]).length > 0) json[field.name] = listJson(field, found as unknown[]);
        break;
      case "bool":
        json[field.name] = found;
    }
  }
  return json;
}

function listJson(field: FieldModel & { kind: "list" }, values: readonly unknown[]): unknown[] {
  const { element } = field;
  return values.map((value) => {
    if (element.kind === "struct") {
      return toToolJson(STRUCTS.get(element.struct.name)!.fields, value as PlainStruct);
    }
    if (element.kind === "data") return [...value as Uint8Array];
    return element.kind === "number" && element.type === "uint64" ? String(value) : value;
  });
}

function words(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from(
    { length: bytes.length / 8 },
    (_, index) => view.getBigUint64(8 * index, true).toString(),
  );
}

/**
 * Returns the tool's own JSON in the same form: groups that are byte strings become arrays of
 * words.
 */
function normalise(fields: readonly FieldModel[], json: PlainStruct): PlainStruct {
  const result: PlainStruct = {};
  for (const field of fields) {
    const found = json[field.name];
    if (found === undefined) continue;
    if (field.kind === "group") {
      result[field.name] = normalise(field.fields, found as PlainStruct);
    } else if (field.kind === "bytes") {
      result[field.name] = Object.values(found as PlainStruct);
    } else if (field.kind === "struct") {
      result[field.name] = normalise(
        STRUCTS.get(field.struct.name)!.fields,
        found as PlainStruct,
      );
    } else if (field.kind === "list" && field.element.kind === "struct") {
      const { fields: members } = STRUCTS.get(field.element.struct.name)!;
      result[field.name] = (found as PlainStruct[]).map((element) => normalise(members, element));
    } else if (field.kind === "number" && field.type === "float32") {
      result[field.name] = typeof found === "number" ? Math.fround(found) : found;
    } else {
      result[field.name] = found;
    }
  }
  return result;
}

function samples(struct: StructModel, options: ValueOptions, numRuns: number): PlainStruct[] {
  return fc.sample(structValues(struct, { finite: true, ...options }), { seed: 2_026, numRuns });
}

function frames(codec: AnyCodec, values: readonly PlainStruct[]): Uint8Array {
  const out = new FrameWriter({ bytesMax: 1 << 24 });
  for (const value of values) codec.write(out, value);
  return out.written.slice();
}

/**
 * Returns the smallest size that gives no more segments than are accepted from foreign tools, for
 * the largest value.
 */
function segmentWords(codec: AnyCodec, values: readonly PlainStruct[]): number {
  const words = Math.max(...values.map((value) => codec.encode(value).length / 8));
  return Math.max(SEGMENT_WORDS, Math.ceil(words / (SEGMENTS_MAX / 2)));
}

/** Decodes a stream of frames, which may have several segments. */
function decodeAll(codec: AnyCodec, stream: Uint8Array): PlainStruct[] {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  const values: PlainStruct[] = [];
  for (let at = 0; at < stream.length;) {
    const size = inspectFrame(view, at, stream.length, {
      frameBytesMax: 1 << 24,
      segmentsMax: SEGMENTS_MAX,
    });
    values.push(codec.decode(joinSegments(stream, at, at + size)));
    at += size;
  }
  return values;
}

/** Returns the JSON values that the tool printed, one after another. */
function splitJson(printed: string): PlainStruct[] {
  return JSON.parse(`[${printed.trim().replaceAll(/\}\n\{/g, "},{")}]`) as PlainStruct[];
}

testEachStruct("each struct of the schemas and capnp", (struct, codec) => {
  test(`${struct.name} codec reads canonical forms with their trailing zeros cut`, () => {
    for (const value of samples(struct, { full: false }, CANONICAL_SAMPLES)) {
      const cut = capnpConvert("binary:canonical", struct.name, frames(codec, [value]));
      assert.equal(codec.decode(cut), value);
    }
  });

  // The body of an envelope is null here, and a canonical form truncates a trailing null.
  if (!isEnvelope(codec)) {
    test(`${struct.name} codec writes what capnp finds canonical already`, () => {
      for (const value of samples(struct, { full: true }, CANONICAL_SAMPLES)) {
        const canonical = capnpConvert("binary:canonical", struct.name, frames(codec, [value]));
        assert.equal(codec.encode(value), canonical);
      }
    });
  }

  if (hasAnyPointer(struct)) return;

  test(`${struct.name} codec writes what capnp reads as the same value`, () => {
    const values = samples(struct, { full: false }, SAMPLES);
    const printed = capnpConvert("binary:json", struct.name, frames(codec, values));
    const read = splitJson(new TextDecoder().decode(printed));
    assert.equal(read.length, values.length);
    for (const [index, value] of values.entries()) {
      assert.equal(
        normalise(struct.fields, read[index]!),
        toToolJson(struct.fields, value),
      );
    }
  });

  test(`${struct.name} codec reads what capnp writes as the same value`, () => {
    // Version 0.9 of the tool misreads some escapes in its own JSON.
    const options = { full: false, lettersOnly: true };
    const values = samples(struct, options, SAMPLES);
    const printed = capnpConvert("binary:json", struct.name, frames(codec, values));
    const written = capnpConvert("json:binary", struct.name, printed);
    assert.equal(decodeAll(codec, written), values);
  });

  test(`${struct.name} codec reads what capnp writes in many segments`, () => {
    const values = samples(struct, { full: false }, SAMPLES);
    const options = [`--segment-size=${segmentWords(codec, values)}`];
    const split = capnpConvert("binary:binary", struct.name, frames(codec, values), options);
    assert.equal(decodeAll(codec, split), values);
  });
});

test.run();
