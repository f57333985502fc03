/**
 * JSON that has one spelling: the canonical form of RFC 8785, and objects with exactly the members
 * that are expected. Parsers differ in what they do with duplicate names, numbers beyond their range
 * and names like `__proto__`; none of these survives the comparison with the canonical form.
 */
import canonicalize from "canonicalize";

/** The canonical form of a value that JSON can hold. */
export function canonicalJson(value: object): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("Only JSON values have a canonical form");
  return text;
}

/** The value of a text, where the text is the canonical form of that value. */
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
    // Numbers beyond all bounds and lone surrogates have no canonical form.
    return "not_canonical";
  }
}

/** The value as an object with exactly these members; `undefined` where it is anything else. */
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
