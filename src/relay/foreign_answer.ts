/** Checks of answers of backends: their texts are bounded, and their values must have the right type. */
import { RegistryError } from "../base/errors.ts";
import { RELAY_EXCERPT_CHARACTERS_MAX } from "../base/limits.ts";

/** Returns the beginning of a backend's text, without control characters, for a message. */
export function excerptOf(text: string): string {
  const excerpt = text.slice(0, RELAY_EXCERPT_CHARACTERS_MAX);
  // deno-lint-ignore no-control-regex -- control characters are what it removes.
  return excerpt.toWellFormed().replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}

/** Returns the error for an answer that makes no sense. @param needed what it should have been. */
export function senseless(needed: string): RegistryError {
  return new RegistryError("internal", `The relay backend's answer must be ${needed}: it is not`);
}

/** Returns a decimal number in text as an integer; throws `internal` for anything else. */
export function integerOf(value: unknown, needed: string): number {
  const number = typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : NaN;
  if (!Number.isSafeInteger(number)) throw senseless(needed);
  return number;
}

/** Returns a text; throws `internal` for anything else. */
export function textOf(value: unknown, needed: string): string {
  if (typeof value !== "string") throw senseless(needed);
  return value;
}

/** Parses a text as a JSON object; throws `internal` for another text. */
export function objectOf(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw senseless("JSON");
  }
  return membersOf(value);
}

/** Returns a value as an object; throws `internal` for another. */
export function membersOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw senseless("an object");
  }
  return value as Record<string, unknown>;
}

/** Returns a value as a list; throws `internal` for another. An absent one is empty. */
export function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw senseless("a list");
  return value;
}
