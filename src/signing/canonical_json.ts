/**
 * JSON with one spelling per value: the canonical form of RFC 8785, and objects with exactly the
 * expected members. Parsers disagree about duplicate names, numbers beyond their range and names
 * such as `__proto__`; the comparison with the canonical form refuses all of these.
 */
import canonicalize from "canonicalize";

/** Returns the canonical form of a JSON value. */
export function canonicalJson(value: object): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("Only JSON values have a canonical form");
  return text;
}

/** Parses a text that must be the canonical form of its value. */
export function readCanonicalJson(
  text: string,
): { readonly value: unknown } | "not_json" | "not_canonical" {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "not_json";
  }
  try {
    return canonicalize(value) === text ? { value } : "not_canonical";
  } catch {
    // Infinite numbers and lone surrogates have no canonical form.
    return "not_canonical";
  }
}

/** Returns the value if it is an object with exactly these members, or `undefined`. */
export function membersOf<Name extends string>(
  value: unknown,
  names: readonly Name[],
): Readonly<Record<Name, unknown>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const found = Object.keys(value);
  if (found.length !== names.length || !names.every((name) => found.includes(name))) {
    return undefined;
  }
  return value as Record<Name, unknown>;
}
