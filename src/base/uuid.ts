/**
 * UUIDs (RFC 9562) as 16 bytes inside the registry and as lower-case text at its edges.
 */
import { RegistryError } from "./errors.ts";

/** Length of a UUID in bytes. */
export const UUID_BYTES = 16;

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const hexOfByte: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => byte.toString(16).padStart(2, "0"),
);

/** The canonical text of the UUID at `[offset, offset + 16)` of `bytes`. */
export function formatUuid(bytes: Uint8Array, offset = 0): string {
  let text = "";
  for (let index = 0; index < UUID_BYTES; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text += "-";
    text += hexOfByte[bytes[offset + index] ?? 0];
  }
  return text;
}

/** True for the 36-character text of a UUID, in either case. */
export function isUuidText(text: string): boolean {
  return UUID_PATTERN.test(text);
}

/**
 * The 16 bytes of a UUID's text; the caller owns them.
 *
 * @throws RegistryError `invalid_argument` when `text` is not a UUID.
 */
export function parseUuid(text: string, field = "id"): Uint8Array {
  if (!UUID_PATTERN.test(text)) {
    throw new RegistryError(
      "invalid_argument",
      `${field} must be a UUID such as 6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11: found ${
        JSON.stringify(text.slice(0, 64))
      }`,
      { field },
    );
  }
  const bytes = new Uint8Array(UUID_BYTES);
  let nibble = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 45) continue;
    const value = code <= 57 ? code - 48 : (code | 32) - 87;
    bytes[nibble >> 1] = (bytes[nibble >> 1]! << 4) | value;
    nibble++;
  }
  return bytes;
}

/** True where all 16 bytes are zero, which stands for "no id". */
export function isNilUuid(bytes: Uint8Array, offset = 0): boolean {
  for (let index = 0; index < UUID_BYTES; index++) {
    if (bytes[offset + index] !== 0) return false;
  }
  return true;
}
