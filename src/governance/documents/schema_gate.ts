/**
 * Schemas of signed and stored documents: `<name>/<version>`, as part of the document.
 *
 * Readers take every version from the oldest supported on and upgrade what they read; writers write the
 * newest. Because all replicas must accept the same documents, the newest version that a command may
 * bring is that of the group's apply version, not that of the program. An upgrade changes what is read
 * and never the stored bytes, which are signed or part of the tree.
 */
import { RegistryError } from "../../base/errors.ts";
import { exactMembers, type JsonObject, objectOf } from "./json_members.ts";

/** The name of a schema. */
export type SchemaName =
  | "genesis"
  | "descriptor"
  | "deprecation"
  | "supersession"
  | "signers"
  | "freeze"
  | "home"
  | "entry"
  | "bundle";

/** A schema: its versions, and how each is upgraded to the next one. */
export interface SchemaRow<T> {
  /** The oldest version that is still read. */
  readonly oldest: number;
  /** The apply version from which on each version may be written, from `oldest` on. */
  readonly writtenSince: readonly number[];
  /** Turns a document of version `oldest + i` into one of the next version. */
  readonly upgrades: readonly ((document: T) => T)[];
}

type Versions = Pick<SchemaRow<unknown>, "oldest" | "writtenSince">;

const FIRST: SchemaRow<JsonObject> = { oldest: 1, writtenSince: [1], upgrades: [] };

/** The schemas of this program. */
export const SCHEMAS: Readonly<Record<SchemaName, SchemaRow<JsonObject>>> = {
  genesis: FIRST,
  descriptor: FIRST,
  deprecation: FIRST,
  supersession: FIRST,
  signers: FIRST,
  freeze: FIRST,
  home: { ...FIRST, writtenSince: [2] },
  entry: FIRST,
  bundle: FIRST,
};

const SCHEMA_TEXT = /^([a-z]+)\/([1-9][0-9]{0,3})$/;

/** Returns the newest spelling of a schema that may be written at an apply version. */
export function newestSchema(name: SchemaName, applyVersion = Infinity): string {
  return `${name}/${newestOf(SCHEMAS[name], applyVersion)}`;
}

/** A document that was read. */
export interface ReadDocument {
  readonly name: SchemaName;
  /** The schema that the document has. */
  readonly schema: string;
  /** Its members, schema left out, as the newest version has them. */
  readonly document: JsonObject;
}

/**
 * Reads a document of any supported version, and upgrades it.
 *
 * @throws RegistryError `unsupported_version`; `invalid_argument` if it is no object with a schema.
 */
export function readDocument(value: unknown, field: string): ReadDocument {
  const { schema, ...members } = objectOf(value, field);
  // String() throws for {"toString": 1}, which JSON can have.
  if (typeof schema !== "string") {
    throw unsupported("Schema must be a text", typeof schema);
  }
  const [, name = "", version = "0"] = SCHEMA_TEXT.exec(schema) ?? [];
  if (!Object.hasOwn(SCHEMAS, name)) {
    throw unsupported(`Schema must be one of ${Object.keys(SCHEMAS).join(", ")}`, schema);
  }
  const row = SCHEMAS[name as SchemaName];
  const { document } = upgraded(row, Number(version), members);
  return { name: name as SchemaName, schema, document };
}

/** Reads a document that must have this schema and these members. @throws as {@link readDocument}. */
export function readDocumentOf(
  name: SchemaName,
  value: unknown,
  members: readonly string[],
  optional: readonly string[] = [],
): JsonObject {
  const { name: found, document } = readDocument(value, `A document of ${name}`);
  if (found !== name) throw unsupported(`Schema must be that of ${name}`, found);
  return exactMembers(document, `A document of ${name}`, members, optional);
}

/**
 * Checks that a command may bring a document of this schema: the newest of the apply version. It is
 * checked before the document is read, so that programs that know other versions refuse it alike.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function checkWritable(schema: unknown, applyVersion: number): SchemaName {
  const text = typeof schema === "string" ? schema : typeof schema;
  const [, name = ""] = SCHEMA_TEXT.exec(text) ?? [];
  // A schema that only a later apply version writes is refused in the words of programs without it.
  const isKnown = Object.hasOwn(SCHEMAS, name) &&
    newestOf(SCHEMAS[name as SchemaName], applyVersion) >= SCHEMAS[name as SchemaName].oldest;
  const newest = isKnown ? newestSchema(name as SchemaName, applyVersion) : undefined;
  if (newest === text) return name as SchemaName;
  const wanted = newest ??
    "that of a descriptor, a deprecation, a supersession, signers or a freeze";
  throw new RegistryError(
    "invalid_argument",
    `Schema must be ${wanted}: found ${JSON.stringify(text)}`,
    { field: "schema" },
  );
}

/**
 * Returns a document of any readable version in the newest one. A document of the newest version is
 * returned as it is, so an upgrade can be repeated.
 */
export function upgraded<T>(
  row: SchemaRow<T>,
  version: number,
  document: T,
): { readonly version: number; readonly document: T } {
  checkReadable(row, "a document", version);
  const newest = newestOf(row, Infinity);
  let current = document;
  for (let from = version; from < newest; from++) {
    current = row.upgrades[from - row.oldest]!(current);
  }
  return { version: newest, document: current };
}

function newestOf({ oldest, writtenSince }: Versions, applyVersion: number): number {
  return oldest - 1 + writtenSince.filter((since) => since <= applyVersion).length;
}

function checkReadable(row: Versions, name: string, version: number): void {
  const newest = newestOf(row, Infinity);
  if (version >= row.oldest && version <= newest) return;
  throw unsupported(`Version of ${name} must be ${row.oldest} to ${newest}`, String(version));
}

function unsupported(message: string, found: string): RegistryError {
  return new RegistryError("unsupported_version", `${message}: found ${JSON.stringify(found)}`, {
    field: "schema",
  });
}
