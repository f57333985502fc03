/**
 * The `capnp` program as an oracle of the generated codecs, in both directions and for every
 * struct: it reads our output and finds it canonical, and we read its output.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { FieldModel, StructModel } from "../../../schemas/generator/model.ts";
import { WORD_BYTES } from "../../../schemas/runtime.ts";
import {
  type Segments,
  toolCanonical,
  toolJson,
  toolSegments,
  toolSplit,
} from "../../support/capnp_tool.ts";
import {
  codecOf,
  hasAnyPointer,
  isEnvelope,
  type PlainStruct,
  STRUCTS,
  structValues,
  testEachStruct,
  type ValueOptions,
} from "../../support/schemas.ts";

const SAMPLES = 12;
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

function samples(
  { options, count = SAMPLES, includes = () => true }: {
    readonly options: ValueOptions;
    readonly count?: number;
    readonly includes?: (struct: StructModel) => boolean;
  },
): ReadonlyMap<string, readonly PlainStruct[]> {
  return new Map(
    [...STRUCTS.values()].filter(includes).map((struct) => {
      const values = structValues(struct, { finite: true, ...options });
      return [struct.name, fc.sample(values, { seed: 2_026, numRuns: count })];
    }),
  );
}

function encoded(samples: ReadonlyMap<string, readonly PlainStruct[]>): Segments {
  return new Map(
    [...samples].map(([name, values]) => {
      return [name, values.map((value) => codecOf(name).encode(value))];
    }),
  );
}

/**
 * Returns the smallest size that gives no more segments than are accepted from foreign tools, for
 * the largest message.
 */
function segmentWords(segments: readonly Uint8Array[]): number {
  const words = Math.max(...segments.map((segment) => segment.length / WORD_BYTES));
  return Math.max(SEGMENT_WORDS, Math.ceil(words / (SEGMENTS_MAX / 2)));
}

const isTyped = (struct: StructModel) => !hasAnyPointer(struct);
const full = samples({ options: { full: true }, count: CANONICAL_SAMPLES });
const sparse = samples({ options: { full: false }, count: CANONICAL_SAMPLES });
const typed = samples({ options: { full: false }, includes: isTyped });
// Version 0.9 of the tool misreads some escapes in its own JSON.
const letters = samples({ options: { full: false, lettersOnly: true }, includes: isTyped });

const canonicalOfFull = toolCanonical(encoded(full));
const canonicalOfSparse = toolCanonical(encoded(sparse));
const jsonOfTyped = toolJson(encoded(typed));
const jsonOfLetters = toolJson(encoded(letters));
const splitTyped = toolSplit(encoded(typed), segmentWords);
let segmentsOfLetters: ReturnType<typeof toolSegments> | undefined;

testEachStruct("each struct of the schemas and capnp", (struct, codec) => {
  const { name, fields } = struct;

  test(`${name} codec reads canonical forms with their trailing zeros cut`, () => {
    assert.equal(canonicalOfSparse(name).map((cut) => codec.decode(cut)), sparse.get(name));
  });

  // The body of an envelope is null here, and a canonical form truncates a trailing null.
  if (!isEnvelope(codec)) {
    test(`${name} codec writes what capnp finds canonical already`, () => {
      assert.equal(full.get(name)!.map((value) => codec.encode(value)), canonicalOfFull(name));
    });
  }

  if (hasAnyPointer(struct)) return;

  test(`${name} codec writes what capnp reads as the same value`, () => {
    const read = jsonOfTyped(name) as PlainStruct[];
    assert.equal(
      read.map((json) => normalise(fields, json)),
      typed.get(name)!.map((value) => toToolJson(fields, value)),
    );
  });

  test(`${name} codec reads what capnp writes as the same value`, () => {
    segmentsOfLetters ??= toolSegments(
      new Map([...letters.keys()].map((each) => [each, jsonOfLetters(each)])),
    );
    const written = segmentsOfLetters(name);
    assert.equal(written.map((segment) => codec.decode(segment)), letters.get(name));
  });

  test(`${name} codec reads what capnp writes in many segments`, () => {
    assert.equal(splitTyped(name).map((segment) => codec.decode(segment)), typed.get(name));
  });
});

test.run();
