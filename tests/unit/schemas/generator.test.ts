/**
 * The generator: its refusals, the equality of the committed code with its output, and every type
 * that it supports, including those that no schema of the registry uses yet.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileSchemas } from "../../../schemas/generator/compiler.ts";
import { emitFile } from "../../../schemas/generator/emit.ts";
import {
  type FileModel,
  readRequest,
  UnsupportedSchemaError,
} from "../../../schemas/generator/model.ts";
import type { StructView } from "../../../schemas/runtime.ts";
import { CAPNP, testWith } from "../../support/requirement.ts";
import {
  type AnyCodec,
  FILES,
  type PlainStruct,
  root,
  structValues,
} from "../../support/schemas.ts";

const HEAD = `@0xa1b2c3d4e5f60718; using import "codec.capnp".bytes;\n`;

/** Compiles one schema beside a copy of codec.capnp. */
function model(schema: string): FileModel {
  const folder = Deno.makeTempDirSync({ prefix: "crs-schemas-" });
  try {
    Deno.copyFileSync(new URL("schemas/codec.capnp", root), `${folder}/codec.capnp`);
    Deno.writeTextFileSync(`${folder}/sample.capnp`, HEAD + schema);
    const compiled = compileSchemas(new URL(`file://${folder}/`), ["sample.capnp"])!;
    assert.ok(compiled.success, compiled.stderr);
    return readRequest(compiled.stdout)[0]!;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function load(file: FileModel): Promise<Record<string, unknown>> {
  const folder = Deno.makeTempDirSync({ prefix: "crs-schemas-" });
  try {
    const runtime = new URL("schemas/runtime.ts", root).href;
    const path = `${folder}/${file.name}.ts`;
    Deno.writeTextFileSync(path, emitFile(file).replace("../runtime.ts", runtime));
    return await import(`file://${path}`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ["a union", "struct A { union { a @0 :UInt8; b @1 :UInt8; } }", /unions/],
  ["a union in a group", "struct A { g :group { union { a @0 :Void; b @1 :Void; } } }", /unions/],
  ["a generic struct", "struct A(T) { a @0 :T; }", /generics/],
  ["an interface", "interface I { a @0 (); }", /only structs/],
  ["a constant", "const c :UInt8 = 1;", /only structs/],
  ["a default", "struct A { a @0 :UInt8 = 1; }", /a has a default/],
  ["Void", "struct A { a @0 :Void; }", /a is of type Void/],
  ["a list of lists", "struct A { a @0 :List(List(UInt8)); }", /a is a list of List/],
  ["a list of Bool", "struct A { a @0 :List(Bool); }", /a is a list of Bool/],
  ["a list of Void", "struct A { a @0 :List(Void); }", /a is a list of Void/],
  ["AnyStruct", "struct A { a @0 :AnyStruct; }", /a is of type AnyPointer/],
  ["AnyPointer that is not last", "struct A { a @0 :AnyPointer; b @1 :Text; }", /last pointer/],
  ["$bytes on a field", "struct A { a @0 :UInt64 $bytes; }", /no group/],
  ["$bytes of UInt32", "struct A { g :group $bytes { a @0 :UInt32; } }", /UInt64/],
  [
    "$bytes of members apart",
    "struct A { g :group $bytes { a @0 :UInt64; c @2 :UInt64; } b @1 :UInt64; }",
    /consecutive/,
  ],
];

const capnpTest = testWith(CAPNP);

for (const [name, schema, pattern] of REFUSED) {
  capnpTest(`generator refuses ${name} by its name`, () => {
    try {
      model(schema);
    } catch (error) {
      assert.instance(error, UnsupportedSchemaError);
      assert.match((error as Error).message, /^Cannot generate sample\.capnp:/);
      assert.match((error as Error).message, pattern);
      return;
    }
    assert.unreachable("Not refused");
  });
}

capnpTest("generator refuses two members of a view with one name", () => {
  const clash = model("struct A { a @0 :Text; aLength @1 :UInt8; }");
  assert.throws(() => emitFile(clash), /two members of its view would be called aLength/);
  const taken = model("struct A { wrap @0 :UInt8; }");
  assert.throws(() => emitFile(taken), /would be called wrap/);
});

capnpTest("generator writes what is committed under schemas/gen", () => {
  for (const file of FILES) {
    const path = new URL(`schemas/gen/${file.name}.ts`, root);
    assert.is(Deno.readTextFileSync(path), emitFile(file), `schemas/gen/${file.name}.ts`);
  }
  const present = [...Deno.readDirSync(new URL("schemas/gen/", root))].map(({ name }) => name);
  assert.equal(present.sort(), FILES.map(({ name }) => `${name}.ts`).sort());
});

capnpTest(
  "an enum is its numbers and names; a field of it holds the number, known or not",
  async () => {
    const file = model(`
    enum BanKind { unset @0; subject @1; lineage @2; }
    enum Phase { none @0; ended @1; }
    struct A { kind @0 :BanKind; phase @1 :Phase; kinds @2 :List(BanKind); }
    struct B { kind @0 :UInt16; phase @1 :UInt16; kinds @2 :List(UInt16); }`);
    const module = await load(file);
    assert.equal(module["BAN_KINDS"], { subject: 1, lineage: 2 });
    assert.equal(module["BAN_KIND_NAMES"], [undefined, "subject", "lineage"]);
    assert.equal(module["PHASES"], { none: 0, ended: 1 });
    assert.equal(module["PHASE_NAMES"], ["none", "ended"]);
    const value = { kind: 2, phase: 700, kinds: [1, 9] };
    const codecs = ["aCodec", "bCodec"].map((name) => module[name] as AnyCodec);
    assert.equal(codecs[0]!.decode(codecs[0]!.encode(value)), value);
    assert.equal(codecs[0]!.encode(value), codecs[1]!.encode(value), "the bytes of UInt16");
  },
);

capnpTest("generated view and codec agree for every type that is supported", async () => {
  const file = model(`
    struct All {
      u8 @0 :UInt8; u16 @1 :UInt16; u32 @2 :UInt32; u64 @3 :UInt64;
      i8 @4 :Int8; i16 @5 :Int16; i32 @6 :Int32; i64 @7 :Int64;
      f32 @8 :Float32; f64 @9 :Float64; t @10 :Bool; f @11 :Bool;
      u8s @12 :List(UInt8); u16s @13 :List(UInt16); u32s @14 :List(UInt32);
      u64s @15 :List(UInt64); i8s @16 :List(Int8); i16s @17 :List(Int16);
      i32s @18 :List(Int32); i64s @19 :List(Int64); f32s @20 :List(Float32);
      f64s @21 :List(Float64); texts @22 :List(Text); datas @23 :List(Data);
      outer :group { inner :group { name @24 :Text; key :group $bytes { a @25 :UInt64; } } }
      struct Child { child @0 :Child; children @1 :List(Child); value @2 :Int8; }
      tree @26 :Child;
    }`);
  const [all, child] = file.structs;
  assert.is(child!.name, "AllChild");
  const module = await load(file);
  const codec = module["allCodec"] as AnyCodec;
  const { tree: _tree, ...shape } = codec.empty();
  const leaf = { child: undefined, children: [], value: -1 };
  const flat = { ...all!, fields: all!.fields.filter(({ name }) => name in shape) };
  fc.assert(
    fc.property(structValues(flat, { full: false }), (value) => {
      const tree = { child: { ...leaf, children: [leaf, leaf] }, children: [leaf], value: 3 };
      const whole = { ...value, tree };
      const bytes = codec.encode(whole);
      assert.equal(codec.decode(bytes), whole);
      patches(codec, bytes, value);
    }),
    { seed: 2_026, numRuns: 100 },
  );
});

/** Writes all numbers of `value` through the setters of a view on zeros, and reads them back. */
function patches(codec: AnyCodec, bytes: Uint8Array, value: PlainStruct): void {
  const target = codec.encode(codec.empty());
  const from = wrap(codec, bytes);
  const to = wrap(codec, target);
  const expected: PlainStruct = {};
  for (const [name, found] of Object.entries(value)) {
    if (typeof found !== "number" && typeof found !== "boolean") continue;
    to[name] = from[name];
    expected[name] = found;
  }
  const decoded = codec.decode(target);
  for (const [name, found] of Object.entries(expected)) assert.equal(decoded[name], found, name);
}

function wrap(codec: AnyCodec, bytes: Uint8Array): StructView & PlainStruct {
  const view = codec.newView().wrap(new DataView(bytes.buffer), bytes, 0, bytes.length);
  return view as StructView & PlainStruct;
}

test.run();
