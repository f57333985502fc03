/**
 * Caveats: the conditions under which a capability holds, each of which only narrows it. On the
 * wire a caveat is its type (1 byte), the length of its value (2 bytes) and its value. That of an
 * expiry is 8 bytes; all others are lists of alternatives, each with its length (1 byte), in
 * ascending order of their bytes. Every caveat has exactly one encoding.
 *
 * | type | caveat    | alternatives                                          | checked by |
 * | ---- | --------- | ----------------------------------------------------- | ---------- |
 * | 1    | scope     | names of scopes                                       | the node   |
 * | 2    | expiry    | none: seconds since 1970 at which the capability ends | the node   |
 * | 3    | operation | names of operations                                   | the node   |
 * | 4    | idPrefix  | beginnings of ids of descriptors or records           | the node   |
 * | 5    | path      | paths of requests, with all that is below them        | the face   |
 * | 6    | method    | methods of HTTP                                       | the face   |
 * | 7    | address   | networks of callers (network.ts)                      | the face   |
 */
import { compareBytes, concatBytes } from "../../src/base/bytes.ts";
import {
  CAPABILITY_SCOPES,
  type CapabilityScope,
  isCapabilityScope,
} from "../../src/base/capability.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { CAVEAT_ENTRIES_MAX, CAVEAT_ENTRY_BYTES_MAX } from "../../src/base/limits.ts";
import { formatNetwork, isNetwork, parseNetwork } from "./network.ts";
import { isCaveatPath } from "./request_path.ts";

/** Caveats that list alternatives, in the order of their types. */
const LISTS = {
  scope: 1,
  operation: 3,
  idPrefix: 4,
  path: 5,
  method: 6,
  address: 7,
} as const;

/** The kind of a caveat that lists alternatives. */
export type ListKind = keyof typeof LISTS;

/** A caveat that permits any of its alternatives. */
export type ListCaveat<Kind extends ListKind = ListKind> = {
  readonly [One in Kind]: {
    readonly kind: One;
    readonly any: readonly (One extends "scope" ? CapabilityScope : string)[];
  };
}[Kind];

/** A condition of a capability. */
export type Caveat =
  | ListCaveat
  /** Unix ms, whole seconds. */
  | { readonly kind: "expiry"; readonly atMs: number };

/** Reasons why bytes are no list of caveats. */
export type CaveatFault = "malformed" | "unknown_caveat" | "unknown_scope";

const EXPIRY = 2;
const EXPIRY_BYTES = 8;
const HEAD_BYTES = 3;
/** Times up to the year 9999, exact in milliseconds. */
const UNIX_S_END = 253_402_300_800;

const KINDS: ReadonlyMap<number, ListKind> = new Map(
  Object.entries(LISTS).map(([kind, type]) => [type, kind as ListKind]),
);

/** Whether a text may be an alternative; addresses are compared as bytes instead. */
const FORMS: Readonly<Record<Exclude<ListKind, "address">, (text: string) => boolean>> = {
  scope: isCapabilityScope,
  operation: (text) => /^[a-z][A-Za-z0-9]{0,63}$/.test(text),
  idPrefix: (text) => /^[!-~]+$/.test(text),
  path: isCaveatPath,
  method: (text) => /^[A-Z]{1,16}$/.test(text),
};

/** The form of an alternative by the kind of its caveat, for messages. */
const WANTED: Readonly<Record<ListKind, string>> = {
  scope: `one of ${CAPABILITY_SCOPES.join(", ")}`,
  operation: "the name of an operation",
  idPrefix: "the beginning of an id, without spaces",
  path: "a path such as /v1/registry, without an end slash, escapes or a query",
  method: "a method in capitals",
  address: "a network",
};

/** Describes caveats in one line, as the audit log shows them. */
export function caveatsText(caveats: readonly Caveat[]): string {
  return caveats.map((caveat) =>
    caveat.kind === "expiry"
      ? `until ${new Date(caveat.atMs).toISOString()}`
      : `${LABELS[caveat.kind]} ${caveat.any.join(" or ")}`
  ).join(", ");
}

const LABELS: Readonly<Record<ListKind, string>> = {
  scope: "scope",
  operation: "operation",
  idPrefix: "id prefix",
  path: "path",
  method: "method",
  address: "address",
};

/** Encodes a caveat. @throws RegistryError `invalid_argument`. */
export function encodeCaveat(caveat: Caveat): Uint8Array {
  if (caveat.kind !== "expiry") {
    return framed(LISTS[caveat.kind], concatBytes(entriesOf(caveat.kind, caveat.any)));
  }
  const unixS = caveat.atMs / 1_000;
  if (!Number.isInteger(unixS) || unixS < 0 || unixS >= UNIX_S_END) {
    throw invalid("expiry", `be whole seconds since 1970: found ${caveat.atMs} ms`);
  }
  const value = new DataView(new ArrayBuffer(EXPIRY_BYTES));
  value.setBigUint64(0, BigInt(unixS));
  return framed(EXPIRY, new Uint8Array(value.buffer));
}

function framed(type: number, value: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(type, value.length >> 8, value.length & 0xff), value]);
}

/** Returns the alternatives with their lengths, in order. */
function entriesOf(kind: ListKind, any: readonly string[]): Uint8Array[] {
  if (any.length === 0 || any.length > CAVEAT_ENTRIES_MAX) {
    throw invalid(kind, `have 1 to ${CAVEAT_ENTRIES_MAX} alternatives: found ${any.length}`);
  }
  const entries = any.map((text) => {
    const isFit = kind === "address" || FORMS[kind](text);
    const bytes = kind === "address" ? parseNetwork(text) : UTF8.encode(text);
    if (isFit && bytes.length <= CAVEAT_ENTRY_BYTES_MAX) return bytes;
    throw invalid(kind, `be ${WANTED[kind]}: found ${JSON.stringify(text.slice(0, 80))}`);
  }).sort(compareBytes);
  if (entries.some((entry, index) => index > 0 && compareBytes(entries[index - 1]!, entry) === 0)) {
    throw invalid(kind, "name each alternative once");
  }
  return entries.flatMap((entry) => [Uint8Array.of(entry.length), entry]);
}

const UTF8 = new TextEncoder();

/** A caveat and its bytes. */
export interface EncodedCaveat {
  readonly caveat: Caveat;
  readonly bytes: Uint8Array;
}

/** Decodes caveats that fill the bytes exactly. The bytes of the result are views. */
export function decodeCaveats(bytes: Uint8Array): EncodedCaveat[] | CaveatFault {
  const found: EncodedCaveat[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + HEAD_BYTES > bytes.length) return "malformed";
    const end = at + HEAD_BYTES + (bytes[at + 1]! << 8 | bytes[at + 2]!);
    if (end > bytes.length) return "malformed";
    const caveat = caveatOf(bytes[at]!, bytes.subarray(at + HEAD_BYTES, end));
    if (typeof caveat === "string") return caveat;
    found.push({ caveat, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return found;
}

function caveatOf(type: number, value: Uint8Array): Caveat | CaveatFault {
  if (type === EXPIRY) return expiryOf(value);
  const kind = KINDS.get(type);
  if (kind === undefined) return "unknown_caveat";
  const entries = listOf(value);
  if (entries === undefined) return "malformed";
  if (kind === "address") {
    return entries.every(isNetwork) ? { kind, any: entries.map(formatNetwork) } : "malformed";
  }
  const any = entries.map(textOf);
  if (kind === "scope") {
    return any.every(isCapabilityScope) ? { kind, any } : "unknown_scope";
  }
  return any.every(FORMS[kind]) ? { kind, any } as Caveat : "malformed";
}

function expiryOf(value: Uint8Array): Caveat | CaveatFault {
  if (value.length !== EXPIRY_BYTES) return "malformed";
  const unixS = new DataView(value.buffer, value.byteOffset, EXPIRY_BYTES).getBigUint64(0);
  return unixS >= UNIX_S_END ? "malformed" : { kind: "expiry", atMs: Number(unixS) * 1_000 };
}

/** Returns the alternatives of a list in strictly ascending order; `undefined` for other bytes. */
function listOf(value: Uint8Array): Uint8Array[] | undefined {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at < value.length) {
    const end = at + 1 + value[at]!;
    const last = entries.at(-1);
    const entry = value.subarray(at + 1, end);
    if (end > value.length || entry.length === 0) return undefined;
    if (last !== undefined && compareBytes(last, entry) >= 0) return undefined;
    if (entries.push(entry) > CAVEAT_ENTRIES_MAX) return undefined;
    at = end;
  }
  return entries.length === 0 ? undefined : entries;
}

/** Returns bytes as text; a byte beyond ASCII becomes a character that no form permits. */
function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function invalid(field: string, wanted: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${wanted}`, { field });
}
