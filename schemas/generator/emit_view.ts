/**
 * Generates the flyweight of a struct: getters and setters by offset, with groups flattened
 * (`capacity.cpu` becomes `capacityCpu`), and the method that makes the plain object.
 */
import {
  type ElementModel,
  type FieldModel,
  flatFields,
  type StructModel,
  UnsupportedSchemaError,
} from "./model.ts";
import { capital, joinName, viewName } from "./names.ts";

/** Names used by the runtime's StructView. */
const VIEW_NAMES = ["constructor", "toPlain", "wrap"];

/** Returns the class `FooView` of a struct. */
export function emitView(struct: StructModel): string {
  const name = viewName(struct.name);
  const members = viewMembers(struct.fields, "");
  checkNames(struct, members);
  const children = members.flatMap(({ child }) => child ?? []);
  return [
    `/** A flyweight over {@link ${struct.name}}. */`,
    `export class ${name} extends StructView<${struct.name}> {`,
    ...children.map((line) => `  ${line}`),
    ...(children.length > 0 && members.length > 0 ? [""] : []),
    ...members.flatMap(({ lines }) => lines.map((line) => `  ${line}`)),
    ...(members.length > 0 ? [""] : []),
    `  override toPlain(): ${struct.name} {`,
    `    this.$payPlain();`,
    ...plainReturn(struct.fields),
    `  }`,
    `}`,
    "",
  ].join("\n");
}

interface ViewMember {
  readonly names: readonly string[];
  readonly lines: readonly string[];
  /** The declaration of the flyweight that the member returns. */
  readonly child?: string;
}

function viewMembers(fields: readonly FieldModel[], prefix: string): ViewMember[] {
  return fields.flatMap((field) =>
    field.kind === "group"
      ? viewMembers(field.fields, joinName(prefix, field.name))
      : [viewMember(field, joinName(prefix, field.name))]
  );
}

function viewMember(field: FieldModel, name: string): ViewMember {
  switch (field.kind) {
    case "number":
    case "bool":
    case "bytes":
      return dataMember(field, name);
    case "text":
    case "data":
      return byteStringMember(field, name);
    case "struct":
    case "list":
    case "any":
      return childMember(field, name);
    case "group":
      throw new UnsupportedSchemaError(`Group ${name} must be opened`);
  }
}

function dataMember(
  field: FieldModel & { kind: "number" | "bool" | "bytes" },
  name: string,
): ViewMember {
  const accessors = (type: string, member: string, at: string) => [
    `get ${name}(): ${type} { return this.$${member}(${at}); }`,
    `set ${name}(value: ${type}) { this.$set${capital(member)}(${at}, value); }`,
  ];
  switch (field.kind) {
    case "number":
      return { names: [name], lines: accessors("number", field.type, `${field.offset}`) };
    case "bool":
      return {
        names: [name],
        lines: accessors("boolean", "bool", `${field.offset}, ${field.mask}`),
      };
    case "bytes": {
      const at = `${field.offset}, ${field.length}`;
      return {
        names: [name, `${name}Offset`, `${name}Equals`],
        lines: [
          ...accessors("Uint8Array", "fixed", at),
          `get ${name}Offset(): number { return this.$fixedOffset(${at}); }`,
          `${name}Equals(bytes: Uint8Array, offset = 0): boolean ` +
          `{ return this.$fixedEquals(${at}, bytes, offset); }`,
        ],
      };
    }
  }
}

function byteStringMember(field: FieldModel & { kind: "text" | "data" }, name: string): ViewMember {
  const { kind, pointer } = field;
  const places = [
    `get ${name}Offset(): number { return this.$${kind}Offset(${pointer}); }`,
    `get ${name}Length(): number { return this.$${kind}Length(${pointer}); }`,
  ];
  if (kind === "data") {
    return {
      names: [name, `${name}Offset`, `${name}Length`],
      lines: [`get ${name}(): Uint8Array { return this.$dataBytes(${pointer}); }`, ...places],
    };
  }
  return {
    names: [name, `${name}Bytes`, `${name}Offset`, `${name}Length`],
    lines: [
      `get ${name}(): string { return this.$text(${pointer}); }`,
      `get ${name}Bytes(): Uint8Array { return this.$textBytes(${pointer}); }`,
      ...places,
    ],
  };
}

function childMember(
  field: FieldModel & { kind: "struct" | "list" | "any" },
  name: string,
): ViewMember {
  const { pointer } = field;
  const has = `has${capital(name)}`;
  const presence = `get ${has}(): boolean { return this.$has(${pointer}); }`;
  switch (field.kind) {
    case "struct": {
      const view = viewName(field.struct.name);
      return {
        names: [name, has],
        lines: [
          presence,
          `get ${name}(): ${view} ` +
          `{ return this.$struct(${pointer}, this.#${name} ??= new ${view}()); }`,
        ],
        child: `#${name}: ${view} | undefined;`,
      };
    }
    case "list": {
      const [type, make] = listView(field.element);
      return {
        names: [name],
        lines: [
          `get ${name}(): ${type} ` +
          `{ return this.$list(${pointer}, this.#${name} ??= ${make}); }`,
        ],
        child: `#${name}: ${type} | undefined;`,
      };
    }
    case "any":
      return {
        names: [has, `${name}Into`],
        lines: [
          presence,
          `${name}Into<V extends StructView>(view: V): V ` +
          `{ return this.$struct(${pointer}, view); }`,
        ],
      };
  }
}

function listView(element: ElementModel): [string, string] {
  switch (element.kind) {
    case "number":
      return ["ScalarList", `new ScalarList(${element.type.toUpperCase()})`];
    case "text":
      return ["TextList", "new TextList()"];
    case "data":
      return ["DataList", "new DataList()"];
    case "struct": {
      const { name } = element.struct;
      const view = viewName(name);
      return [`StructList<${name}, ${view}>`, `new StructList(new ${view}())`];
    }
  }
}

function checkNames(struct: StructModel, members: readonly ViewMember[]): void {
  const seen = new Set(VIEW_NAMES);
  for (const name of members.flatMap(({ names }) => names)) {
    if (seen.has(name)) {
      throw new UnsupportedSchemaError(
        `Cannot generate ${struct.name}: two members of its view would be called ${name}`,
      );
    }
    seen.add(name);
  }
}

function plainReturn(fields: readonly FieldModel[]): string[] {
  const range = fixedRange(fields);
  const lines = plainValues(fields, "", "      ", range);
  if (lines.length === 0) return ["    return {};"];
  return [
    ...(range === undefined
      ? []
      : [`    const fixed = this.$fixed(${range.lo}, ${range.hi - range.lo});`]),
    "    return {",
    ...lines,
    "    };",
  ];
}

interface Range {
  readonly lo: number;
  readonly hi: number;
}

/**
 * Returns the range of the data section that holds all fixed byte strings, if there are several:
 * one copy of the range for all of them costs a fraction of one array each.
 */
function fixedRange(fields: readonly FieldModel[]): Range | undefined {
  const strings = flatFields(fields).flatMap((field) => (field.kind === "bytes" ? [field] : []));
  if (strings.length < 2) return undefined;
  return {
    lo: Math.min(...strings.map(({ offset }) => offset)),
    hi: Math.max(...strings.map(({ offset, length }) => offset + length)),
  };
}

function plainValues(
  fields: readonly FieldModel[],
  prefix: string,
  indent: string,
  fixed: Range | undefined,
): string[] {
  return fields.flatMap((field) => {
    const name = joinName(prefix, field.name);
    const key = `${indent}${field.name}: `;
    switch (field.kind) {
      case "any":
        return [];
      case "group":
        return [`${key}{`, ...plainValues(field.fields, name, indent + "  ", fixed), `${indent}},`];
      case "bytes": {
        if (fixed === undefined) return [`${key}this.${name},`];
        const at = field.offset - fixed.lo;
        return [`${key}fixed.subarray(${at}, ${at + field.length}),`];
      }
      case "data":
        return [`${key}this.$dataCopy(${field.pointer}),`];
      case "struct":
        return [
          `${key}this.has${capital(name)} ? this.${name}.toPlain() : undefined,`,
        ];
      case "list":
        return [`${key}this.${name}.toPlain(),`];
      default:
        return [`${key}this.${name},`];
    }
  });
}
