/**
 * Builds the record to register from a JSON file, in our vocabulary or that of other callers
 * (src/record/vocabulary.ts), and from flags, which override it. The flags are those of the fields
 * in the kind's row. The registry's own validation runs before sending, so that every mistake is
 * reported with its field, even a value that could not be encoded.
 */
import { TTL_MS_MAX, TTL_MS_MIN } from "../base/limits.ts";
import type { Field } from "../record/field.ts";
import { type AnyKindRow, type InputOf, kindNamed, type RecordKindName } from "../record/kinds.ts";
import type { RecordInput } from "../record/plain.ts";
import { toStored, validated } from "../record/stored_form.ts";
import { recordFromJson } from "../record/vocabulary.ts";
import { parseDuration } from "./duration.ts";
import { usageFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** The flags of a record's fields, as typed, under the names that commander gives them. */
export interface RecordFlags {
  readonly file?: string;
  readonly region?: string;
  readonly [flag: string]: unknown;
}

/** The source of files, and the default region. */
export interface FieldSources {
  readonly terminal: Pick<Terminal, "readText">;
  readonly region: string;
}

/** Placeholders, during validation, for values that the registry and the client add. */
const ANY_ID = "00000000-0000-4000-8000-000000000001";
const ANY_OWNER = { process: 1, sequence: 1 };

/**
 * Returns the record of a kind described by file and flags.
 *
 * @throws RegistryError `invalid_argument` with the field.
 */
export function recordFields<Name extends RecordKindName>(
  kind: Name,
  flags: RecordFlags,
  sources: FieldSources,
): InputOf<Name> {
  const row: AnyKindRow = kindNamed(kind);
  const record = recordFromJson(row, jsonOf(flags, sources));
  for (const field of [...row.sharedFields, ...row.ownFields]) {
    const value = valueOf(field, flags, record[field.name]);
    if (value !== undefined) record[field.name] = value;
  }
  const input = { id: ANY_ID, ...record } as unknown as RecordInput;
  validated(row, toStored(row, input, ANY_OWNER));
  return record as unknown as InputOf<Name>;
}

/** Returns the value that the flags give to a field; `undefined` if they give none. */
function valueOf({ type, flags = [] }: Field, typed: RecordFlags, base: unknown): unknown {
  const given = flags.flatMap(({ flag, part }) => {
    const name = nameOf(flag);
    const value = typed[attributeOf(name)];
    return value === undefined ? [] : [{ name, part, value }];
  });
  const [first] = given;
  if (first === undefined) return undefined;
  const { name, value } = first;
  switch (type.form) {
    case "text":
      return value;
    case "number":
      return quantity(name, value as string);
    case "duration":
      return parseDuration(value as string, `--${name}`, { min: TTL_MS_MIN, max: TTL_MS_MAX });
    case "draining":
      return value === true ? "draining" : undefined;
    case "labels":
      return { ...base as object | undefined, ...labelsOf(value as readonly string[]) };
    case "amounts":
      return {
        ...base as object | undefined,
        ...Object.fromEntries(
          given.map((one) => [one.part, quantity(one.name, one.value as string)]),
        ),
      };
  }
}

/** Returns the long name of a flag such as `--wss-port <number>`. */
function nameOf(flag: string): string {
  return /^--([a-z-]+)/.exec(flag)![1]!;
}

/** Returns the property under which commander stores a flag. */
function attributeOf(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Returns the object in the file, or an empty one, with the default region added. */
function jsonOf(flags: RecordFlags, { terminal, region }: FieldSources): unknown {
  if (flags.file === undefined) return { region };
  const text = terminal.readText(flags.file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw usageFailure(
      `Cannot use ${flags.file} as it is not JSON: ${reason}`,
      "Correct the file; examples/gateway.json is an example.",
      flags.file,
    );
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  // A value that is not an object is refused by name where the vocabulary is applied.
  return isObject ? { region, ...(value as object) } : value;
}

/** Parses values of `--label`. @throws CliFailure `invalid_argument`. */
export function labelsOf(texts: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 1) {
      throw usageFailure(
        `--label must be key=value: found ${JSON.stringify(text)}`,
        "Pass each label like this: --label zone=a.",
        "label",
      );
    }
    labels[text.slice(0, at)] = text.slice(at + 1);
  }
  return labels;
}

/** Parses the number of a flag; the registry's validation checks its bounds. */
function quantity(name: string, text: string): number {
  if (!/^\d{1,15}(\.\d{1,9})?$/.test(text)) {
    throw usageFailure(
      `--${name} must be a number: found ${JSON.stringify(text)}`,
      `Pass digits, for example --${name} 4.`,
      name,
    );
  }
  return Number(text);
}
