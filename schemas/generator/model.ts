/**
 * Converts the compiler's CodeGeneratorRequest to the model that the generator emits: structs and
 * fields with byte offsets. Declarations that the runtime does not support are refused by name, so
 * a schema is either generated completely or not at all.
 *
 * Source: schema.capnp of Cap'n Proto, decoded with capnp-es.
 */
import { Message } from "capnp-es";
import { CodeGeneratorRequest, type Field, Node, Type } from "capnp-es/capnp/schema";

/** The id of `$bytes` in codec.capnp. */
const BYTES_ANNOTATION_ID = 0xe1f0a9b8c7d6e5f4n;

/** The error of a schema that uses an unsupported feature. */
export class UnsupportedSchemaError extends Error {
  override readonly name = "UnsupportedSchemaError";
}

export type NumberType =
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "float32"
  | "float64";

/** The element type of a list. */
export type ElementModel =
  | { readonly kind: "number"; readonly type: NumberType }
  | { readonly kind: "text" }
  | { readonly kind: "data" }
  | { readonly kind: "struct"; readonly struct: StructRef };

/** A reference to a declared struct. */
export interface StructRef {
  readonly name: string;
  /** The schema's name without folder and extension. */
  readonly file: string;
}

interface FieldBase {
  readonly name: string;
  readonly doc: string;
}

/**
 * A field; `offset` is in bytes from the data section, `pointer` is an index into the pointer
 * section.
 */
export type FieldModel =
  & FieldBase
  & (
    | {
      readonly kind: "number";
      readonly type: NumberType;
      readonly offset: number;
      /** Of an enum: its names by number, as the schema has them. */
      readonly names?: readonly string[];
    }
    | { readonly kind: "bool"; readonly offset: number; readonly mask: number }
    | { readonly kind: "bytes"; readonly offset: number; readonly length: number }
    | { readonly kind: "group"; readonly fields: readonly FieldModel[] }
    | { readonly kind: "text"; readonly pointer: number }
    | { readonly kind: "data"; readonly pointer: number }
    | { readonly kind: "any"; readonly pointer: number }
    | { readonly kind: "struct"; readonly pointer: number; readonly struct: StructRef }
    | { readonly kind: "list"; readonly pointer: number; readonly element: ElementModel }
  );

/** A struct. */
export interface StructModel {
  readonly name: string;
  readonly doc: string;
  readonly dataWords: number;
  readonly pointerWords: number;
  /** In the order of declaration. */
  readonly fields: readonly FieldModel[];
}

/** An enum: a closed set of names, each with its number. */
export interface EnumModel {
  readonly name: string;
  readonly doc: string;
  /** By number, from 0 without gaps; undefined for {@link UNSET}. */
  readonly members: readonly (string | undefined)[];
}

/** The name of number 0 in an enum whose fields may hold no name of the set. */
const UNSET = "unset";

/** A schema file. */
export interface FileModel {
  /** Without folder and extension. */
  readonly name: string;
  readonly doc: string;
  readonly enums: readonly EnumModel[];
  readonly structs: readonly StructModel[];
}

const NUMBER_TYPES: ReadonlyMap<number, { type: NumberType; bytes: number }> = new Map([
  [Type.INT8, { type: "int8", bytes: 1 }],
  [Type.INT16, { type: "int16", bytes: 2 }],
  [Type.INT32, { type: "int32", bytes: 4 }],
  [Type.INT64, { type: "int64", bytes: 8 }],
  [Type.UINT8, { type: "uint8", bytes: 1 }],
  [Type.UINT16, { type: "uint16", bytes: 2 }],
  [Type.UINT32, { type: "uint32", bytes: 4 }],
  [Type.UINT64, { type: "uint64", bytes: 8 }],
  // A later version may know more names, so a field holds the number.
  [Type.ENUM, { type: "uint16", bytes: 2 }],
  [Type.FLOAT32, { type: "float32", bytes: 4 }],
  [Type.FLOAT64, { type: "float64", bytes: 8 }],
]);

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [Type.VOID, "Void"],
  [Type.BOOL, "Bool"],
  [Type.LIST, "List"],
  [Type.INTERFACE, "interface"],
  [Type.ANY_POINTER, "AnyPointer"],
]);

/**
 * Reads the requested files of a CodeGeneratorRequest, sorted by name.
 *
 * @throws UnsupportedSchemaError naming the first declaration that is not supported.
 */
export function readRequest(bytes: Uint8Array): FileModel[] {
  const request = new Message(bytes, false).getRoot(CodeGeneratorRequest);
  const reader = new RequestReader(request);
  return request.requestedFiles
    .map((file) => reader.file(file.id))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

class RequestReader {
  readonly #nodes = new Map<bigint, Node>();
  readonly #docs = new Map<bigint, { doc: string; members: string[] }>();

  constructor(request: CodeGeneratorRequest) {
    for (const node of request.nodes) this.#nodes.set(node.id, node);
    for (const info of request.sourceInfo) {
      this.#docs.set(info.id, {
        doc: info.docComment.trim(),
        members: info.members.map((member) => member.docComment.trim()),
      });
    }
  }

  file(id: bigint): FileModel {
    const node = this.#node(id);
    const structs: StructModel[] = [];
    const enums: EnumModel[] = [];
    for (const nested of node.nestedNodes) this.#collect(this.#node(nested.id), structs, enums);
    const name = baseName(node.displayName);
    return { name, doc: this.#docs.get(id)?.doc ?? "", enums, structs };
  }

  #node(id: bigint): Node {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new UnsupportedSchemaError(`Node ${id} is not in the request`);
    return node;
  }

  #collect(node: Node, structs: StructModel[], enums: EnumModel[]): void {
    const which = node.which();
    if (which === Node.ANNOTATION) return;
    if (which === Node.ENUM) return void enums.push(this.#enum(node));
    if (which !== Node.STRUCT) {
      throw unsupported(node, "only structs, enums and annotations may be declared");
    }
    structs.push(this.#struct(node));
    for (const nested of node.nestedNodes) this.#collect(this.#node(nested.id), structs, enums);
  }

  #enumerants(id: bigint): string[] {
    return this.#node(id).enum.enumerants.map(({ name }) => name);
  }

  #enum(node: Node): EnumModel {
    const members = this.#enumerants(node.id).map((name, number) =>
      number === 0 && name === UNSET ? undefined : name
    );
    const doc = this.#docs.get(node.id)?.doc ?? "";
    return { name: structRef(node).name, doc, members };
  }

  #struct(node: Node): StructModel {
    if (node.isGeneric) throw unsupported(node, "generics are not supported");
    const fields = this.#fields(node);
    const { dataWordCount: dataWords, pointerCount: pointerWords } = node.struct;
    for (const field of flatFields(fields)) {
      if (field.kind === "any" && field.pointer !== pointerWords - 1) {
        throw unsupported(node, `AnyPointer ${field.name} must be the last pointer`);
      }
    }
    const doc = this.#docs.get(node.id)?.doc ?? "";
    return { name: structRef(node).name, doc, dataWords, pointerWords, fields };
  }

  #fields(node: Node): FieldModel[] {
    if (node.struct.discriminantCount !== 0) throw unsupported(node, "unions are not supported");
    const docs = this.#docs.get(node.id)?.members ?? [];
    return node.struct.fields
      .map((field, index) => ({ field, doc: docs[index] ?? "" }))
      .sort((left, right) => left.field.codeOrder - right.field.codeOrder)
      .map(({ field, doc }) => this.#field(node, field, doc));
  }

  #field(node: Node, field: Field, doc: string): FieldModel {
    const name = field.name;
    const marked = field.annotations.some((annotation) => annotation.id === BYTES_ANNOTATION_ID);
    if (field._isGroup) {
      const group = this.#node(field.group.typeId);
      const fields = this.#fields(group);
      return marked
        ? bytesField(node, { name, doc }, fields)
        : { kind: "group", name, doc, fields };
    }
    if (marked) throw unsupported(node, `$bytes on ${name}, which is no group`);
    const { offset, type, hadExplicitDefault } = field.slot;
    if (hadExplicitDefault) throw unsupported(node, `${name} has a default`);
    const which = type.which();
    const number = NUMBER_TYPES.get(which);
    if (number !== undefined) {
      const plain = { name, doc, type: number.type, offset: offset * number.bytes };
      if (which !== Type.ENUM) return { kind: "number", ...plain };
      return { kind: "number", ...plain, names: this.#enumerants(type.enum.typeId) };
    }
    switch (which) {
      case Type.BOOL:
        return { kind: "bool", name, doc, offset: offset >> 3, mask: 1 << (offset & 7) };
      case Type.TEXT:
        return { kind: "text", name, doc, pointer: offset };
      case Type.DATA:
        return { kind: "data", name, doc, pointer: offset };
      case Type.STRUCT: {
        const struct = structRef(this.#node(type.struct.typeId));
        return { kind: "struct", name, doc, pointer: offset, struct };
      }
      case Type.LIST: {
        const element = this.#element(node, name, type.list.elementType);
        return { kind: "list", name, doc, pointer: offset, element };
      }
      case Type.ANY_POINTER:
        if (type.anyPointer._isUnconstrained && type.anyPointer.unconstrained._isAnyKind) {
          return { kind: "any", name, doc, pointer: offset };
        }
    }
    throw unsupported(node, `${name} is of type ${TYPE_NAMES.get(which) ?? which}`);
  }

  #element(node: Node, name: string, type: Type): ElementModel {
    const which = type.which();
    const number = NUMBER_TYPES.get(which);
    if (number !== undefined) return { kind: "number", type: number.type };
    if (which === Type.TEXT) return { kind: "text" };
    if (which === Type.DATA) return { kind: "data" };
    if (which === Type.STRUCT) {
      return { kind: "struct", struct: structRef(this.#node(type.struct.typeId)) };
    }
    throw unsupported(node, `${name} is a list of ${TYPE_NAMES.get(which) ?? which}`);
  }
}

/** Converts a `$bytes` group to one field. */
function bytesField(node: Node, base: FieldBase, members: readonly FieldModel[]): FieldModel {
  const first = members[0];
  if (first?.kind !== "number") {
    throw unsupported(node, `$bytes on ${base.name}: no UInt64 members`);
  }
  for (const [index, member] of members.entries()) {
    if (
      member.kind !== "number" || member.type !== "uint64" ||
      member.offset !== first.offset + 8 * index
    ) {
      throw unsupported(node, `$bytes on ${base.name}: members must be consecutive UInt64`);
    }
  }
  return { kind: "bytes", ...base, offset: first.offset, length: 8 * members.length };
}

/** Returns all fields that hold a value, with groups flattened. */
export function flatFields(fields: readonly FieldModel[]): FieldModel[] {
  return fields.flatMap((field) => field.kind === "group" ? flatFields(field.fields) : [field]);
}

function structRef(node: Node): StructRef {
  const [path, name] = node.displayName.split(":");
  if (path === undefined || name === undefined) throw unsupported(node, "it has no name");
  return { file: baseName(path), name: name.replaceAll(".", "") };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.capnp$/, "");
}

function unsupported(node: Node, reason: string): UnsupportedSchemaError {
  return new UnsupportedSchemaError(`Cannot generate ${node.displayName}: ${reason}`);
}
