/** Members of JSON documents, read with their types. Each failure names the member. */
import { RegistryError } from "../../base/errors.ts";
import { GOVERNED_JSON_DEPTH_MAX } from "../../base/limits.ts";
import { readStrictJson } from "../../signing/strict_json.ts";

/** A JSON object whose members were not looked at yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Returns the refusal of a document that is not what it should be. */
export function invalidDocument(message: string, field?: string): RegistryError {
  return new RegistryError("invalid_argument", message, field === undefined ? {} : { field });
}

/**
 * Reads bytes as strict JSON. Its depth is limited, so that all replicas refuse the same documents, whatever
 * stack their runtimes have.
 */
export function strictJsonIn(bytes: Uint8Array, field: string): unknown {
  const read = readStrictJson(utf8(bytes, field), GOVERNED_JSON_DEPTH_MAX);
  if ("fault" in read) throw invalidDocument(`${field} must be strict JSON: ${read.fault}`);
  return read.value;
}

function utf8(bytes: Uint8Array, field: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new RegistryError("invalid_argument", `${field} must be UTF-8: it is not`, {}, error);
  }
}

/** Returns the value if it is an object. */
export function objectOf(value: unknown, field: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw invalidDocument(`${field} must be an object`, field);
}

/** Returns the object if it has all of `names`, and no other members but `optional` ones. */
export function exactMembers(
  value: unknown,
  field: string,
  names: readonly string[],
  optional: readonly string[] = [],
): JsonObject {
  const object = objectOf(value, field);
  const missing = names.find((name) => !Object.hasOwn(object, name));
  if (missing !== undefined) throw invalidDocument(`${field} must have ${missing}`, missing);
  const unknown = Object.keys(object).find((name) =>
    !names.includes(name) && !optional.includes(name)
  );
  if (unknown === undefined) return object;
  throw invalidDocument(`${field} must not have ${JSON.stringify(unknown)}`, unknown);
}

/** Returns a text of 1 to `lengthMax` characters. */
export function textOf(object: JsonObject, name: string, lengthMax: number): string {
  const value = object[name];
  if (typeof value === "string" && value.length > 0 && value.length <= lengthMax) return value;
  throw invalidDocument(`${name} must be a text of 1 to ${lengthMax} characters`, name);
}

/** Returns a whole number of `[min, max]`. */
export function integerOf(
  object: JsonObject,
  name: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: { readonly min?: number; readonly max?: number } = {},
): number {
  const value = object[name];
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number;
  }
  throw invalidDocument(`${name} must be a whole number from ${min} to ${max}`, name);
}

/** Returns an array of at most `countMax` items. */
export function arrayOf(object: JsonObject, name: string, countMax: number): readonly unknown[] {
  const value = object[name];
  if (Array.isArray(value) && value.length <= countMax) return value;
  throw invalidDocument(`${name} must be an array of at most ${countMax} items`, name);
}
