/**
 * Domain names: the one canonical form under which they are stored, looked up, cached and granted.
 *
 * The canonical form is lower-case ASCII without a final dot: labels of 1 to 63 letters, digits and
 * hyphens that start and end with a letter or digit, at most 253 bytes in total. Source: RFC 1035
 * §2.3.1, RFC 1123 §2.1. Only ASCII letters are lowered: `String.toLowerCase` would turn U+212A
 * (Kelvin sign) into a `k`.
 */
import { RegistryError } from "../base/errors.ts";
import { DOMAIN_BYTES_MAX, DOMAIN_LABEL_BYTES_MAX } from "../base/limits.ts";

/** The position of a canonical domain: bytes `[start, end)`. */
export interface DomainSpan {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

const HYPHEN = 0x2d;
const DOT = 0x2e;
/** Placeholder for a code unit that is not ASCII; no domain contains it. */
const NOT_ASCII = 0xff;
/** Characters of a refused domain shown in its error. */
const SHOWN_MAX = 64;

/**
 * Returns the canonical form of a domain's bytes: in place, or a copy when letters are lowered.
 *
 * @throws RegistryError `invalid_argument` when it is not a valid domain.
 */
export function canonicalDomainBytes(
  bytes: Uint8Array,
  start: number,
  length: number,
  field = "domain",
): DomainSpan {
  const span = canonicalSpan(bytes, start, length);
  if (span !== undefined) return span;
  const shown = bytes.subarray(start, start + Math.min(length, 4 * SHOWN_MAX));
  throw badDomain(new TextDecoder().decode(shown), field);
}

/**
 * Returns the canonical form of a domain name.
 *
 * @throws RegistryError as {@link canonicalDomainBytes}.
 */
export function canonicalDomain(text: string, field = "domain"): string {
  // Only as many bytes as are needed to detect that the name is too long.
  const bytes = new Uint8Array(Math.min(text.length, DOMAIN_BYTES_MAX + 2));
  for (let at = 0; at < bytes.length; at++) {
    const unit = text.charCodeAt(at);
    bytes[at] = unit < 0x80 ? unit : NOT_ASCII;
  }
  const span = canonicalSpan(bytes, 0, bytes.length);
  if (span === undefined) throw badDomain(text, field);
  if (span.bytes === bytes) return text.slice(0, span.end);
  return String.fromCharCode(...span.bytes);
}

/** Returns the canonical form, in place if possible; `undefined` when it is not a valid domain. */
function canonicalSpan(bytes: Uint8Array, start: number, length: number): DomainSpan | undefined {
  if (length > DOMAIN_BYTES_MAX + 1) return undefined;
  const isAbsolute = length > 1 && bytes[start + length - 1] === DOT;
  const end = isAbsolute ? start + length - 1 : start + length;
  if (end - start > DOMAIN_BYTES_MAX) return undefined;
  let isUpper = false;
  let labelStart = start;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x61 && byte <= 0x7a || byte >= 0x30 && byte <= 0x39 || byte === HYPHEN) continue;
    if (byte === DOT) {
      if (!isLabel(bytes, labelStart, at)) return undefined;
      labelStart = at + 1;
    } else if (byte >= 0x41 && byte <= 0x5a) isUpper = true;
    else return undefined;
  }
  if (!isLabel(bytes, labelStart, end)) return undefined;
  return isUpper ? lowered(bytes.slice(start, end)) : { bytes, start, end };
}

/** Reports whether the letters, digits and hyphens in `[start, end)` form a label. */
function isLabel(bytes: Uint8Array, start: number, end: number): boolean {
  return end > start && end - start <= DOMAIN_LABEL_BYTES_MAX && bytes[start] !== HYPHEN &&
    bytes[end - 1] !== HYPHEN;
}

function lowered(bytes: Uint8Array): DomainSpan {
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at]! >= 0x41 && bytes[at]! <= 0x5a) bytes[at]! |= 0x20;
  }
  return { bytes, start: 0, end: bytes.length };
}

function badDomain(text: string, field: string): RegistryError {
  const shown = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
  return new RegistryError(
    "invalid_argument",
    `${field} must be a host name of at most ${DOMAIN_BYTES_MAX} letters, digits, hyphens and dots ` +
      `(other scripts as xn--…): found ${JSON.stringify(shown)}`,
    { field },
  );
}
