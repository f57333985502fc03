/**
 * capnp-es, the library that the generated codecs replace, as their oracle: its classes, compiled
 * here and not stored, read our output and write our input, byte for byte.
 */
import { Buffer } from "node:buffer";
import { Message, type Pointer, type Struct, type StructCtor, utils } from "capnp-es";
import { compileAll } from "capnp-es/compiler";
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { FieldModel, StructModel } from "../../../schemas/generator/model.ts";
import { compileSchemas, schemaFiles } from "../../../schemas/generator/compiler.ts";
import { defined } from "../../../src/base/assert.ts";
import { FrameWriter, joinSegments } from "../../../schemas/runtime.ts";
import { requestCodec } from "../../../schemas/gen/wire.ts";
import { CAPNP, testWith } from "../../support/requirement.ts";
import {
  type AnyCodec,
  codecOf,
  compiledSchemas,
  isEnvelope,
  type PlainStruct,
  root,
  STRUCTS,
  structValues,
  testEachStruct,
} from "../../support/schemas.ts";

const RUNS = 40;
const PARAMETERS = { seed: 2_026, numRuns: RUNS } as const;

/** A struct of capnp-es, of which only the shape is known here. */
type EsStruct = Record<string, unknown>;
type EsClass = StructCtor<Struct>;
interface EsList {
  readonly length: number;
  get(index: number): unknown;
  set(index: number, value: unknown): void;
}
interface EsData {
  copyBuffer(bytes: Uint8Array): void;
  toUint8Array(): Uint8Array;
}

/** Compiles each schema by itself: all of them exceed what the library's compiler reads of one message. */
async function compileSources(): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for (const file of schemaFiles(root)) {
    const schema = Buffer.from(defined(compileSchemas(root, [file])?.stdout, "capnp is there"));
    const { files } = await compileAll(schema, { js: false, ts: true });
    for (const [path, source] of files) sources.set(path, source);
  }
  return sources;
}

async function compileClasses(): Promise<Map<string, EsClass>> {
  const files = await compileSources();
  const folder = Deno.makeTempDirSync({ prefix: "crs-schemas-" });
  const classes = new Map<string, EsClass>();
  try {
    const targets: string[] = [];
    for (const [path, source] of files) {
      const target = `${folder}/${path.slice(path.lastIndexOf("/") + 1)}`;
      const linked = source
        .replaceAll('"capnp-es"', JSON.stringify(import.meta.resolve("capnp-es")))
        .replaceAll(/(from "\.\/\w+)\.js"/g, '$1.ts"');
      Deno.writeTextFileSync(target, linked);
      targets.push(target);
    }
    // One file may import another.
    for (const target of targets) {
      const module: Record<string, unknown> = await import(`file://${target}`);
      for (const [name, value] of Object.entries(module)) {
        if (typeof value === "function") classes.set(name, value as unknown as EsClass);
      }
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  return classes;
}

const classes = compiledSchemas === undefined ? new Map<string, EsClass>() : await compileClasses();

function classOf(struct: string): EsClass {
  const found = classes.get(struct);
  if (found === undefined) throw new Error(`capnp-es made no class of ${struct}`);
  return found;
}

/** Field names that hide members used by capnp-es itself, so that it cannot read such a struct. */
const ES_NAMES: readonly string[] = ["byteOffset", "segment"];

/**
 * Reports whether capnp-es cannot be used as an oracle; the `capnp` program is one for every
 * struct.
 */
function collides(struct: StructModel): boolean {
  return struct.fields.some((field) =>
    ES_NAMES.includes(field.name) ||
    // It cannot fill the elements of a list of Data.
    (field.kind === "list" && field.element.kind === "data") ||
    (field.kind === "struct" && collides(STRUCTS.get(field.struct.name)!)) ||
    (field.kind === "list" && field.element.kind === "struct" &&
      collides(STRUCTS.get(field.element.struct.name)!))
  );
}

/** The UInt64 members of a `$bytes` group, in order. */
function wordNames(group: EsStruct): string[] {
  const members = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(group) as object);
  return Object.keys(members).filter((name) => members[name]!.get !== undefined);
}

function fill(target: EsStruct, fields: readonly FieldModel[], value: PlainStruct): void {
  // Pointers are set in order, because only then are the layouts equal.
  const ordered = [...fields].sort((left, right) => firstPointer(left) - firstPointer(right));
  for (const field of ordered) {
    const found = value[field.name];
    const init = target[`_init${field.name[0]!.toUpperCase()}${field.name.slice(1)}`] as (
      count?: number,
    ) => unknown;
    switch (field.kind) {
      case "number":
        target[field.name] = field.type.endsWith("int64") ? BigInt(found as number) : found;
        break;
      case "bool":
        target[field.name] = found;
        break;
      case "bytes": {
        const group = target[field.name] as unknown as EsStruct;
        const bytes = found as Uint8Array;
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        for (const [index, name] of wordNames(group).entries()) {
          group[name] = view.getBigUint64(8 * index, true);
        }
        break;
      }
      case "group":
        fill(target[field.name] as EsStruct, field.fields, found as PlainStruct);
        break;
      case "text":
        if (found !== "") target[field.name] = found;
        break;
      case "data": {
        const bytes = found as Uint8Array;
        if (bytes.length > 0) (init.call(target, bytes.length) as EsData).copyBuffer(bytes);
        break;
      }
      case "struct":
        if (found === undefined) break;
        fill(
          init.call(target) as unknown as EsStruct,
          STRUCTS.get(field.struct.name)!.fields,
          found as PlainStruct,
        );
        break;
      case "list":
        fillList(field, found as unknown[], (count) => init.call(target, count) as EsList);
    }
  }
}

function firstPointer(field: FieldModel): number {
  if (field.kind === "group") return Math.min(...field.fields.map(firstPointer));
  return "pointer" in field ? field.pointer : -1;
}

function fillList(
  { element }: FieldModel & { kind: "list" },
  values: readonly unknown[],
  init: (count: number) => EsList,
): void {
  if (values.length === 0) return;
  const list = init(values.length);
  for (const [index, value] of values.entries()) {
    if (element.kind === "struct") {
      const { fields } = STRUCTS.get(element.struct.name)!;
      fill(list.get(index) as unknown as EsStruct, fields, value as PlainStruct);
    } else if (element.kind === "number") {
      list.set(index, element.type.endsWith("int64") ? BigInt(value as number) : value);
    } else if (value !== "") {
      list.set(index, value);
    }
  }
}

function read(source: EsStruct, fields: readonly FieldModel[]): PlainStruct {
  const plain: PlainStruct = {};
  for (const field of fields) {
    if (field.kind === "any") continue;
    plain[field.name] = readField(source, field);
  }
  return plain;
}

function readField(source: EsStruct, field: FieldModel): unknown {
  const name = `${field.name[0]!.toUpperCase()}${field.name.slice(1)}`;
  switch (field.kind) {
    case "bytes": {
      const group = source[field.name] as unknown as EsStruct;
      const words = wordNames(group).map((member) => group[member] as bigint);
      return new Uint8Array(BigUint64Array.from(words).buffer);
    }
    case "group":
      return read(source[field.name] as unknown as EsStruct, field.fields);
    case "data":
      return (source[field.name] as EsData).toUint8Array().slice();
    case "struct":
      if (!(source[`_has${name}`] as () => boolean).call(source)) return undefined;
      return read(
        source[field.name] as unknown as EsStruct,
        STRUCTS.get(field.struct.name)!.fields,
      );
    case "list": {
      const list = source[field.name] as EsList;
      return Array.from({ length: list.length }, (_, index) => {
        const element = list.get(index);
        return field.element.kind === "struct"
          ? read(element as unknown as EsStruct, STRUCTS.get(field.element.struct.name)!.fields)
          : typeof element === "bigint"
          ? Number(element)
          : element;
      });
    }
    default: {
      const value = source[field.name];
      return typeof value === "bigint" ? Number(value) : value;
    }
  }
}

function encodeByEs(struct: StructModel, value: PlainStruct): Uint8Array {
  const message = new Message();
  fill(message.initRoot(classOf(struct.name)) as unknown as EsStruct, struct.fields, value);
  return new Uint8Array(message.toArrayBuffer());
}

function frame(codec: AnyCodec, value: PlainStruct): Uint8Array {
  const out = new FrameWriter({ bytesMax: 1 << 20 });
  codec.write(out, value);
  return out.written.slice();
}

testEachStruct("each struct of the schemas and capnp-es", (struct, codec) => {
  const values = structValues(struct, { full: false });

  test(`${struct.name} codec writes what capnp-es reads as the same value`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const root = new Message(frame(codec, value), false).getRoot(classOf(struct.name));
        assert.equal(read(root as unknown as EsStruct, struct.fields), value);
      }),
      PARAMETERS,
    );
  });

  test(`${struct.name} codec reads what capnp-es writes, and writes the same bytes`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const written = encodeByEs(struct, value);
        assert.equal(codec.decode(joinSegments(written, 0, written.length)), value);
        const segments = new DataView(written.buffer).getUint32(0, true) + 1;
        // capnp-es does not support pointers to a struct of no words.
        if (segments > 1 || struct.dataWords + struct.pointerWords === 0) return;
        assert.equal(frame(codec, value), written);
      }),
      PARAMETERS,
    );
  });
}, (struct) => !collides(struct));

const capnpTest = testWith(CAPNP);

capnpTest("envelope codec writes bodies that capnp-es reads, for every struct as a body", () => {
  const request = STRUCTS.get("Request")!;
  for (const struct of STRUCTS.values()) {
    if (collides(struct)) continue;
    const codec = codecOf(struct.name);
    const values = fc.tuple(
      structValues(request, { full: false }),
      structValues(struct, { full: false }),
    );
    for (const [value, body] of fc.sample(values, { seed: 2_026, numRuns: 3 })) {
      const out = new FrameWriter({ bytesMax: 1 << 20 });
      const envelope = codecOf("Request");
      assert.ok(isEnvelope(envelope));
      envelope.write(out, value, codec, body);
      const root = new Message(out.written.slice(), false).getRoot(classOf("Request"));
      assert.equal(read(root as unknown as EsStruct, request.fields), value);
      const pointer = (root as unknown as { body: Pointer }).body;
      const found = utils.getAs(classOf(struct.name), pointer) as unknown as EsStruct;
      assert.equal(read(found, struct.fields), body);
    }
  }
});

capnpTest("envelope view reads bodies that capnp-es writes", () => {
  const struct = STRUCTS.get("Agent")!;
  const values = structValues(struct, { full: false });
  for (const body of fc.sample(values, { seed: 2_026, numRuns: RUNS })) {
    const message = new Message();
    const root = message.initRoot(classOf("Request")) as unknown as { id: number; body: unknown };
    root.id = 77;
    const inner = new Message().initRoot(classOf("Agent"));
    fill(inner as unknown as EsStruct, struct.fields, body);
    root.body = inner;
    const bytes = new Uint8Array(message.toArrayBuffer());
    const segment = joinSegments(bytes, 0, bytes.length);
    const view = requestCodec.newView()
      .wrap(new DataView(segment.buffer), segment, 0, segment.length);
    assert.is(view.id, 77);
    assert.is(view.hasBody, true);
    assert.equal(view.bodyInto(codecOf("Agent").newView()).toPlain(), body);
  }
});

test.run();
