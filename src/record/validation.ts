/**
 * The rules of single fields of records; stored_form.ts applies them to whole records before they
 * are logged. A failure is `invalid_argument` with the field, the expected and the found value.
 * Labels are returned in canonical form, ordered by key. Source: design §3.
 */
import { RegistryError } from "../base/errors.ts";
import {
  LABEL_KEY_BYTES_MAX,
  LABEL_VALUE_BYTES_MAX,
  LABELS_BYTES_MAX,
  LABELS_MAX,
  REGION_BYTES_MAX,
  SEALED_LABEL_BYTES_MAX,
  TTL_MS_DEFAULT,
  TTL_MS_MAX,
  TTL_MS_MIN,
} from "../base/limits.ts";
import type { Gateway, Label } from "../../schemas/gen/record.ts";
import { formatAddress, isNoAddress, parseAddress, unreachableKind } from "./address.ts";

/**
 * Prefix of a sealed value, followed by its JWE (identity/tokens/sealed_label.ts). The registry
 * cannot read sealed values, and so checks only their size.
 */
export const SEALED_PREFIX = "sealed:";

const REGION = /^[a-z0-9-]+$/;
const LABEL_KEY = /^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/;
const PORT_MAX = 0xffff;

/** Returns the error of a field: `wanted` completes "<field> must …". */
export function invalid(field: string, wanted: string, found: unknown): RegistryError {
  const text = jsonOf(found);
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new RegistryError("invalid_argument", `${field} must ${wanted}: found ${shown}`, {
    field,
  });
}

function jsonOf(found: unknown): string {
  try {
    return JSON.stringify(found) ?? String(found);
  } catch {
    // JSON has no form of a cycle or of a bigint.
    return `a value of type ${typeof found}`;
  }
}

/** Checks an address in stored form: none, or one by which others can reach a single host. */
export function checkAddress(bytes: Uint8Array, field = "address"): Uint8Array {
  return isNoAddress(bytes) ? bytes : checkReachable(bytes, undefined, field);
}

/** Returns the stored form of an address in text form; "" gives none. */
export function addressFromText(text: string, field = "address"): Uint8Array {
  const bytes = parseAddress(text, field);
  // Checked before "::" could be taken for no address.
  return text === "" ? bytes : checkReachable(bytes, text, field);
}

/** @param text as the caller wrote it, if it was text. */
function checkReachable(bytes: Uint8Array, text: string | undefined, field: string): Uint8Array {
  const kind = unreachableKind(bytes);
  if (kind === undefined) return bytes;
  const found = text ?? formatAddress(bytes);
  const error = invalid(field, "be an address at which others reach this host", found);
  throw new RegistryError(error.code, `${error.message}, ${kind}`, error.fields);
}

/** Checks a region's name. */
export function checkRegion(region: string, field = "region"): string {
  if (region.length > REGION_BYTES_MAX || !REGION.test(region)) {
    throw invalid(field, `be 1 to ${REGION_BYTES_MAX} of a-z, 0-9 and "-"`, region);
  }
  return region;
}

/** Checks a port; 0 means none when `optional`. */
export function checkPort(port: number, field = "port", optional = false): number {
  const min = optional ? 0 : 1;
  if (!Number.isInteger(port) || port < min || port > PORT_MAX) {
    throw invalid(field, `be an integer in [${min}, ${PORT_MAX}]`, port);
  }
  return port;
}

/** Checks a time to live; 0 gives the default. */
export function checkTtlMs(ttlMs: number, field = "ttlMs"): number {
  if (ttlMs === 0) return TTL_MS_DEFAULT;
  if (!Number.isInteger(ttlMs) || ttlMs < TTL_MS_MIN || ttlMs > TTL_MS_MAX) {
    throw invalid(field, `be an integer in [${TTL_MS_MIN}, ${TTL_MS_MAX}] ms`, ttlMs);
  }
  return ttlMs;
}

/** Checks capacity or use: finite and not negative in each dimension. */
export function checkCapacity(
  capacity: Gateway["capacity"],
  field = "capacity",
): Gateway["capacity"] {
  for (const [dimension, amount] of Object.entries(capacity)) {
    const float = dimension === "cpu" || dimension === "bandwidthMbps";
    if (!Number.isFinite(amount) || amount < 0) {
      throw invalid(`${field}.${dimension}`, "be finite and not negative", amount);
    }
    if (float ? amount > 3.4e38 : !Number.isInteger(amount) || amount > 0xffff_ffff) {
      const wanted = float ? "fit a 32-bit float" : "be an integer below 2^32";
      throw invalid(`${field}.${dimension}`, wanted, amount);
    }
  }
  return capacity;
}

/** Checks labels and returns them ordered by key. */
export function canonicalLabels(labels: readonly Label[], field = "labels"): Label[] {
  if (labels.length > LABELS_MAX) {
    throw invalid(field, `be at most ${LABELS_MAX}`, labels.length);
  }
  const sorted = [...labels].sort((left, right) => left.key < right.key ? -1 : 1);
  sorted.forEach(({ key, value }, index) => {
    if (key.length > LABEL_KEY_BYTES_MAX || !LABEL_KEY.test(key)) {
      const wanted = `have keys of 1 to ${LABEL_KEY_BYTES_MAX} letters, digits, ".", "_", "/", "-"`;
      throw invalid(field, wanted, key);
    }
    if (index > 0 && sorted[index - 1]!.key === key) throw invalid(field, "name a key once", key);
    const sealed = value.startsWith(SEALED_PREFIX);
    const bytesMax = sealed ? SEALED_LABEL_BYTES_MAX : LABEL_VALUE_BYTES_MAX;
    if (!isText(value, bytesMax)) {
      throw invalid(`${field}.${key}`, `be text of at most ${bytesMax} bytes`, value);
    }
    if (sealed) checkLabelsTogether(labels, field);
  });
  return sorted;
}

/**
 * Checks the total size of labels. Sealed values are long: a record has room for a few, not
 * sixteen.
 */
function checkLabelsTogether(labels: readonly Label[], field: string): void {
  let bytes = 0;
  for (const { key, value } of labels) bytes += key.length + new TextEncoder().encode(value).length;
  if (bytes > LABELS_BYTES_MAX) {
    throw invalid(field, `have at most ${LABELS_BYTES_MAX} bytes together`, bytes);
  }
}

/** Reports whether `text` is well-formed and takes at most `bytesMax` bytes of UTF-8. */
export function isText(text: string, bytesMax: number): boolean {
  if (text.length > bytesMax || !text.isWellFormed()) return false;
  return text.length * 3 <= bytesMax || new TextEncoder().encode(text).length <= bytesMax;
}
