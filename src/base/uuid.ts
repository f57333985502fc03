/** UUIDs (RFC 9562): 16 bytes inside the registry, lower-case text at its edges. */
import { RegistryError } from "./errors.ts";

/** Length of a UUID in bytes. */
export const UUID_BYTES = 16;
const UUID_TEXT_LENGTH = 36;

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const HYPHEN = 45;

/** The two hexadecimal digits of each byte, as character codes. */
const hexCodes: Uint8Array = (() => {
  const codes = new Uint8Array(512);
  for (let byte = 0; byte < 256; byte++) {
    const text = byte.toString(16).padStart(2, "0");
    codes[2 * byte] = text.charCodeAt(0);
    codes[2 * byte + 1] = text.charCodeAt(1);
  }
  return codes;
})();

/** Returns the canonical text of the UUID at `[offset, offset + 16)` of `bytes`. */
export function formatUuid(bytes: Uint8Array, offset = 0): string {
  const hex = hexCodes;
  // One call with all 36 codes takes a third of the time of joining 20 pieces, and ids are
  // formatted everywhere.
  const a = bytes[offset]! << 1, b = bytes[offset + 1]! << 1;
  const c = bytes[offset + 2]! << 1, d = bytes[offset + 3]! << 1;
  const e = bytes[offset + 4]! << 1, f = bytes[offset + 5]! << 1;
  const g = bytes[offset + 6]! << 1, h = bytes[offset + 7]! << 1;
  const i = bytes[offset + 8]! << 1, j = bytes[offset + 9]! << 1;
  const k = bytes[offset + 10]! << 1, l = bytes[offset + 11]! << 1;
  const m = bytes[offset + 12]! << 1, n = bytes[offset + 13]! << 1;
  const o = bytes[offset + 14]! << 1, p = bytes[offset + 15]! << 1;
  // deno-fmt-ignore
  return String.fromCharCode(
    hex[a]!, hex[a + 1]!, hex[b]!, hex[b + 1]!, hex[c]!, hex[c + 1]!, hex[d]!, hex[d + 1]!, HYPHEN,
    hex[e]!, hex[e + 1]!, hex[f]!, hex[f + 1]!, HYPHEN,
    hex[g]!, hex[g + 1]!, hex[h]!, hex[h + 1]!, HYPHEN,
    hex[i]!, hex[i + 1]!, hex[j]!, hex[j + 1]!, HYPHEN,
    hex[k]!, hex[k + 1]!, hex[l]!, hex[l + 1]!, hex[m]!, hex[m + 1]!,
    hex[n]!, hex[n + 1]!, hex[o]!, hex[o + 1]!, hex[p]!, hex[p + 1]!,
  );
}

/** Reports whether `text` is the 36-character text of a UUID, in either case. */
export function isUuidText(text: string): boolean {
  return UUID_PATTERN.test(text);
}

/** Value of each hexadecimal digit by its character code below 128; -1 for other characters. */
const digitValues: Int8Array = (() => {
  const values = new Int8Array(128).fill(-1);
  for (let value = 0; value < 16; value++) {
    const digit = value.toString(16);
    values[digit.charCodeAt(0)] = values[digit.toUpperCase().charCodeAt(0)] = value;
  }
  return values;
})();

function digitAt(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code < 128 ? digitValues[code]! : -1;
}

/**
 * Parses the text of a UUID into 16 new bytes.
 *
 * @throws RegistryError `invalid_argument` when `text` is not a UUID.
 */
export function parseUuid(text: string, field = "id"): Uint8Array {
  const bytes = new Uint8Array(UUID_BYTES);
  parseUuidInto(text, bytes, 0, field);
  return bytes;
}

/**
 * Parses the text of a UUID into `bytes` at `at`. On an error some bytes may have been written.
 *
 * @throws RegistryError `invalid_argument` when `text` is not a UUID.
 */
export function parseUuidInto(text: string, bytes: Uint8Array, at: number, field = "id"): void {
  // Programs without types may pass anything.
  if (typeof text !== "string" || text.length !== UUID_TEXT_LENGTH) throw notUuid(text, field);
  // An invalid digit makes its byte negative, and so `wrong`; a wrong hyphen sets it directly.
  let wrong = 0;
  let from = 0;
  for (let index = 0; index < UUID_BYTES; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) {
      if (text.charCodeAt(from++) !== HYPHEN) wrong = -1;
    }
    const value = (digitAt(text, from) << 4) | digitAt(text, from + 1);
    wrong |= value;
    bytes[at + index] = value;
    from += 2;
  }
  if (wrong < 0) throw notUuid(text, field);
}

function notUuid(found: unknown, field: string): RegistryError {
  const shown = typeof found === "string"
    ? JSON.stringify(found.slice(0, 64))
    : `a value of type ${typeof found}`;
  return new RegistryError(
    "invalid_argument",
    `${field} must be a UUID such as 6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11: found ${shown}`,
    { field },
  );
}

/** Reports whether all 16 bytes are zero, which means "no id". */
export function isNilUuid(bytes: Uint8Array, offset = 0): boolean {
  for (let index = 0; index < UUID_BYTES; index++) {
    if (bytes[offset + index] !== 0) return false;
  }
  return true;
}
