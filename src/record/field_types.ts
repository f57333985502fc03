/** The types of the fields of records: how each is written in JSON, stored, checked and shown. */
import { fromHex } from "../base/bytes.ts";
import { CREDENTIAL_HASH_BYTES_MAX } from "../base/limits.ts";
import { parseUuid, UUID_BYTES } from "../base/uuid.ts";
import type { Gateway, Label } from "../../schemas/gen/record.ts";
import { canonicalDomain } from "./domain.ts";
import type { FieldType, FlagForm } from "./field.ts";
import { RECORD_SCOPES, RECORD_STATES, type RecordScope, type RecordState } from "./plain.ts";
import {
  addressFromText,
  canonicalLabels,
  checkAddress,
  checkCapacity,
  checkPort,
  checkRegion,
  checkTtlMs,
  invalid,
  isText,
} from "./validation.ts";

/** A gateway's capacity, or the part of it in use. */
export type Capacity = Gateway["capacity"];

/** Returns `value` if it is text. @throws RegistryError `invalid_argument`. */
export function textOf(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  throw invalid(field, "be text", value);
}

/** Returns `value` if it is a finite number. @throws RegistryError `invalid_argument`. */
export function numberOf(value: unknown, field: string): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw invalid(field, "be a number", value);
}

/** Returns `value` if it is an object. @throws RegistryError `invalid_argument`. */
export function objectOf(value: unknown, field: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw invalid(field, "be an object", value);
}

/** Returns a number of seconds in JSON as milliseconds. */
export function secondsToMs(value: unknown, field: string): number {
  return Math.round(numberOf(value, field) * 1_000);
}

function show(text: string): string {
  return text;
}

function showNumber(value: number): string | number {
  return value === 0 ? "" : value;
}

/** The id of a record; the nil UUID, which stands for none, is checked with the whole record. */
export const uuid: FieldType<string, Uint8Array> = {
  form: "text",
  fromJson: textOf,
  toStored: (text, field) => text === "" ? new Uint8Array(UUID_BYTES) : parseUuid(text, field),
  show,
};

/** A domain name; empty for none. */
export const domain: FieldType<string, string> = {
  form: "text",
  fromJson: textOf,
  toStored: (text) => text,
  check: (text, field) => text === "" ? "" : canonicalDomain(text, field),
  show,
};

/** Returns the type of a text of at least one and at most so many bytes of UTF-8. */
export function text({ bytesMax }: { bytesMax: number }): FieldType<string, string> {
  return {
    form: "text",
    fromJson: textOf,
    toStored: (value) => value,
    check: (value, field) => {
      if (value.length > 0 && isText(value, bytesMax)) return value;
      throw invalid(field, `be text of 1 to ${bytesMax} bytes`, value);
    },
    show,
  };
}

/** The name of a region. */
export const region: FieldType<string, string> = {
  form: "text",
  fromJson: textOf,
  toStored: (text) => text,
  check: checkRegion,
  show,
};

/** An IPv4 or IPv6 address by which others reach a host; empty for none. */
export const address: FieldType<string, Uint8Array> = {
  form: "text",
  fromJson: textOf,
  toStored: (text, field) => addressFromText(textOf(text, field), field),
  check: checkAddress,
  show,
};

/** Returns the type of a number, 0 if it is absent, with the check of its bounds. */
function numeric(
  check: (value: number, field: string) => number,
  form: FlagForm = "number",
): FieldType<number, number> {
  return { form, fromJson: numberOf, toStored: (value) => value, check, show: showNumber };
}

/** A port, 0 for none. */
export const optionalPort: FieldType<number, number> = numeric((port, field) =>
  checkPort(port, field, true)
);

/** A port. */
export const port: FieldType<number, number> = numeric(checkPort);

/** Returns the type of an integer in `[min, max]`; 0 stands for an absent one. */
export function integer({ min, max }: { min: number; max: number }): FieldType<number, number> {
  return numeric((value, field) => {
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw invalid(field, `be an integer in [${min}, ${max}]`, value);
  });
}

/** A time to live, ms; 0 for the default. */
export const ttl: FieldType<number, number> = numeric(checkTtlMs, "duration");

/** Returns the type of a field with one of some names, which are stored by their index. */
function named<Name extends string>(
  names: readonly Name[],
  form: FlagForm,
): FieldType<Name, number> {
  return {
    form,
    fromJson: textOf as (value: unknown, field: string) => Name,
    toStored: (name, field) => {
      const number = names.indexOf(name);
      if (number === -1) throw invalid(field, `be one of ${names.join(", ")}`, name);
      return number;
    },
    check: (number, field) => {
      if (number < names.length) return number;
      const known = names.map((name, index) => `${index} (${name})`);
      throw invalid(field, `be ${known.join(" or ")}`, number);
    },
    show,
  };
}

/** The state of a record, by name. */
export const state: FieldType<RecordState, number> = named(RECORD_STATES, "draining");

/** The scope of a record, by name. */
export const scope: FieldType<RecordScope, number> = named(RECORD_SCOPES, "text");

/** Labels by key. */
export const labels: FieldType<Readonly<Record<string, string>>, readonly Label[]> = {
  form: "labels",
  fromJson: (value, field) => {
    const found = objectOf(value, field);
    for (const [key, label] of Object.entries(found)) textOf(label, `${field}.${key}`);
    return found as Record<string, string>;
  },
  toStored: (plain, field) =>
    Object.entries(objectOf(plain, field)).map(([key, value]) => ({
      key,
      value: typeof value === "string" ? value : textOf(value, `${field}.${key}`),
    })),
  check: canonicalLabels,
  show: (plain) => Object.entries(plain).map(([key, value]) => `${key}=${value}`).join(" "),
};

/** The hash of a credential, hexadecimal; a prefix `0x` or `sha256:` in JSON is dropped. */
export const credentialHash: FieldType<string, Uint8Array> = {
  form: "text",
  fromJson: (value, field) => textOf(value, field).replace(/^(0x|sha256:)/i, ""),
  toStored: (text, field) => {
    const bytes = fromHex(textOf(text, field));
    if (bytes === undefined) throw invalid(field, "be hexadecimal", text);
    return bytes;
  },
  check: (bytes, field) => {
    if (bytes.length <= CREDENTIAL_HASH_BYTES_MAX) return bytes;
    throw invalid(field, `have at most ${CREDENTIAL_HASH_BYTES_MAX} bytes`, bytes.length);
  },
  show,
};

const NO_CAPACITY: Capacity = Object.freeze({
  cpu: 0,
  memoryMiB: 0,
  storageMiB: 0,
  bandwidthMbps: 0,
  connections: 0,
});

/** Our names of the dimensions, and those of other callers. */
export const DIMENSIONS: ReadonlyMap<string, keyof Capacity> = new Map([
  ["cpu", "cpu"],
  ["memory", "memoryMiB"],
  ["memoryMiB", "memoryMiB"],
  ["storage", "storageMiB"],
  ["storageMiB", "storageMiB"],
  ["bandwidth", "bandwidthMbps"],
  ["bandwidthMbps", "bandwidthMbps"],
  ["connections", "connections"],
]);

/** Cores, memory, storage, bandwidth and connections; 0 for an unspecified dimension. */
export const capacity: FieldType<Partial<Capacity>, Capacity> = {
  form: "amounts",
  fromJson: (value, field) => {
    const words = new Map(
      Array.from(DIMENSIONS, ([word, name]) => [word, { name, fromJson: numberOf }]),
    );
    return translated(objectOf(value, field), words, field);
  },
  toStored: (plain) => ({ ...NO_CAPACITY, ...plain }),
  check: checkCapacity,
  show: (plain) => {
    const { cpu, memoryMiB, storageMiB, bandwidthMbps, connections } = { ...NO_CAPACITY, ...plain };
    const parts = [
      [cpu, "cpu"],
      [memoryMiB, "MiB memory"],
      [storageMiB, "MiB storage"],
      [bandwidthMbps, "Mbit/s"],
      [connections, "connections"],
    ].filter(([amount]) => amount !== 0).map(([amount, unit]) => `${amount} ${unit}`);
    return parts.length === 0 ? "unknown" : parts.join(", ");
  },
};

/** A name in JSON: the name of our field, and how its value is read. */
export interface Word {
  readonly name: string;
  readonly fromJson: (value: unknown, field: string) => unknown;
}

/**
 * Returns a JSON object under our names. Values that are null count as absent.
 *
 * @throws RegistryError `invalid_argument` for an unknown name, a field given twice, or a value of
 * another type.
 */
export function translated(
  foreign: Record<string, unknown>,
  words: ReadonlyMap<string, Word>,
  within = "",
): Record<string, unknown> {
  const ours: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(foreign)) {
    const name = within === "" ? key : `${within}.${key}`;
    const word = words.get(key);
    if (word === undefined) throw invalid(name, `be one of ${[...words.keys()].join(", ")}`, key);
    if (value === null || value === undefined) continue;
    if (Object.hasOwn(ours, word.name)) throw invalid(name, `set ${word.name} only once`, value);
    ours[word.name] = word.fromJson(value, name);
  }
  return ours;
}
