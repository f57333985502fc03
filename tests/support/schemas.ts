/**
 * Shared parts of the tests of schemas/: all generated codecs, the model of all schemas, arbitrary
 * values of any struct, and the `capnp` program as an oracle.
 */
import * as fc from "fast-check";
import { compileSchemas, schemaFiles } from "../../schemas/generator/compiler.ts";
import {
  type ElementModel,
  type FieldModel,
  type FileModel,
  flatFields,
  type NumberType,
  readRequest,
  type StructModel,
} from "../../schemas/generator/model.ts";
import { EnvelopeCodec, StructCodec } from "../../schemas/runtime.ts";
import { CAPNP, testWith } from "./requirement.ts";
import { anyCharacter } from "./characters.ts";

/** The root of the repository. */
export const root = new URL("../../", import.meta.url);

/** A value of any struct, as an object of fields. */
export type PlainStruct = Record<string, unknown>;

/** The codec of any struct. */
export type AnyCodec = StructCodec<PlainStruct>;

/** All generated codecs by the name of their struct. */
export const CODECS: ReadonlyMap<string, AnyCodec> = await loadCodecs();

async function loadCodecs(): Promise<Map<string, AnyCodec>> {
  const folder = new URL("schemas/gen/", root);
  const codecs = new Map<string, AnyCodec>();
  for (const name of [...Deno.readDirSync(folder)].map((file) => file.name).sort()) {
    const module: Record<string, unknown> = await import(new URL(name, folder).href);
    for (const value of Object.values(module)) {
      if (value instanceof StructCodec) codecs.set(value.layout.name, value as AnyCodec);
    }
  }
  return codecs;
}

/** Returns a codec that must exist. */
export function codecOf(name: string): AnyCodec {
  const codec = CODECS.get(name);
  if (codec === undefined) throw new Error(`No codec of ${name}`);
  return codec;
}

/** Reports whether the struct has a body that may be any other struct. */
export function isEnvelope(codec: AnyCodec): codec is EnvelopeCodec<PlainStruct> {
  return codec instanceof EnvelopeCodec;
}

const request = compileSchemas(root, schemaFiles(root));

/** The compiled schemas; `undefined` if `capnp` is missing. */
export const compiledSchemas: Uint8Array | undefined = request?.stdout;

/** The model of all schemas; empty if `capnp` is missing. */
export const FILES: readonly FileModel[] = request === undefined ? [] : readRequest(request.stdout);

/** All structs by name; empty if `capnp` is missing. */
export const STRUCTS: ReadonlyMap<string, StructModel> = structsByName();

function structsByName(): Map<string, StructModel> {
  const byName = new Map<string, StructModel>();
  for (const struct of FILES.flatMap(({ structs }) => structs)) {
    if (byName.has(struct.name)) throw new Error(`Two structs are called ${struct.name}`);
    byName.set(struct.name, struct);
  }
  return byName;
}

/**
 * Calls `register`, which registers tests, for each struct that `includes` accepts. If `capnp` is
 * missing no struct is known, and one test called `name` is skipped instead.
 */
export function testEachStruct(
  name: string,
  register: (struct: StructModel, codec: AnyCodec) => void,
  includes: (struct: StructModel) => boolean = () => true,
): void {
  if (STRUCTS.size === 0) {
    testWith(CAPNP)(name, () => {
      throw new Error(`capnp compiled no struct of schemas/: ${request?.stderr}`);
    });
  }
  for (const struct of STRUCTS.values()) {
    if (includes(struct)) register(struct, codecOf(struct.name));
  }
}

/** Options for generated values. */
export interface ValueOptions {
  /**
   * True: no field is at its default and no list empty, so that a canonical form truncates nothing.
   */
  readonly full: boolean;
  /** True: no NaN and no infinity, which JSON cannot represent. */
  readonly finite?: boolean;
  /** True: only letters and digits in text, for a tool that fails on some other characters. */
  readonly lettersOnly?: boolean;
}

/** Arbitrary values of a struct. */
export function structValues(
  struct: StructModel,
  options: ValueOptions,
): fc.Arbitrary<PlainStruct> {
  return fieldValues(struct.fields, options);
}

function fieldValues(
  fields: readonly FieldModel[],
  options: ValueOptions,
): fc.Arbitrary<PlainStruct> {
  const shape: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of fields) {
    if (field.kind !== "any") shape[field.name] = fieldValue(field, options);
  }
  return fc.record(shape, { noNullPrototype: true });
}

function fieldValue(field: FieldModel, options: ValueOptions): fc.Arbitrary<unknown> {
  const { full } = options;
  switch (field.kind) {
    case "number":
      return numbers(field.type, options);
    case "bool":
      return full ? fc.constant(true) : fc.boolean();
    case "bytes":
      return bytes(field.length, field.length, full);
    case "text":
      return texts(options);
    case "data":
      return bytes(full ? 1 : 0, 80, full);
    case "struct": {
      const values = structValues(STRUCTS.get(field.struct.name)!, options);
      return full ? values : fc.option(values, { nil: undefined });
    }
    case "list":
      return fc.array(elementValue(field.element, options), {
        minLength: full ? 1 : 0,
        maxLength: 4,
      });
    case "group":
      return fieldValues(field.fields, options);
    case "any":
      return fc.constant(undefined);
  }
}

function elementValue(element: ElementModel, options: ValueOptions): fc.Arbitrary<unknown> {
  switch (element.kind) {
    case "number":
      return numbers(element.type, options);
    case "text":
      return texts(options);
    case "data":
      return bytes(options.full ? 1 : 0, 40, options.full);
    case "struct":
      return structValues(STRUCTS.get(element.struct.name)!, options);
  }
}

function numbers(
  type: NumberType,
  { full, finite = full }: ValueOptions,
): fc.Arbitrary<number> {
  const zero = full ? 1 : 0;
  const floats = { ...(full ? { min: 1 } : {}), noNaN: finite, noDefaultInfinity: finite };
  switch (type) {
    case "float32":
      return fc.float(floats);
    case "float64":
      return fc.double(floats);
    case "uint64":
      return fc.integer({ min: zero, max: Number.MAX_SAFE_INTEGER });
    case "int64":
      return fc.integer({
        min: full ? 1 : Number.MIN_SAFE_INTEGER,
        max: Number.MAX_SAFE_INTEGER,
      });
  }
  const bits = Number(type.replace(/\D/g, ""));
  const signed = type.startsWith("int");
  const max = 2 ** (signed ? bits - 1 : bits) - 1;
  return fc.integer({ min: full ? 1 : signed ? -max - 1 : 0, max });
}

function texts({ full, lettersOnly }: ValueOptions): fc.Arbitrary<string> {
  const minLength = full ? 1 : 0;
  if (lettersOnly) {
    const unit = fc.constantFrom(..."abcxyzABCXYZ0189.-äß日本😀");
    return fc.string({ unit, minLength, maxLength: 90 });
  }
  return fc.oneof(
    fc.string({ unit: "grapheme-ascii", minLength, maxLength: 40 }),
    fc.string({ unit: anyCharacter, minLength, maxLength: 90 }),
  );
}

function bytes(minLength: number, maxLength: number, full: boolean): fc.Arbitrary<Uint8Array> {
  return fc.array(fc.integer({ min: full ? 1 : 0, max: 255 }), { minLength, maxLength })
    .map((values) => Uint8Array.from(values));
}

/** Reports whether a struct, or one nested in it, has a body whose type only its envelope knows. */
export function hasAnyPointer(struct: StructModel): boolean {
  return flatFields(struct.fields).some((field) =>
    field.kind === "any" ||
    (field.kind === "struct" && hasAnyPointer(STRUCTS.get(field.struct.name)!))
  );
}
