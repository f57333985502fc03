/**
 * Decodes the shared fields of a record from its stored form in place, into the object returned to
 * users. Creates no intermediate objects, which would take three times as long.
 */
import type { ExtraView } from "../../schemas/gen/record.ts";
import { toHex } from "../base/bytes.ts";
import { formatUuid, isNilUuid } from "../base/uuid.ts";
import { ADDRESS_BYTES, formatAddress } from "./address.ts";
import type { OwnedView } from "./kind_row.ts";
import { RECORD_SCOPES, type RecordInfo } from "./plain.ts";
import { isStaleState, stateName } from "./record_state.ts";

/** A view with the fields that agents and gateways share. */
export interface SharedView extends OwnedView {
  readonly addressOffset: number;
  readonly port: number;
}

/** Returns a copy of the shared fields of the record at `view`. @throws RegistryError `malformed`. */
export function recordInfo(view: SharedView): RecordInfo {
  const bytes = view.$bytes;
  const extra = view.hasExtra ? view.extra : undefined;
  return {
    id: formatUuid(bytes, view.idOffset),
    domain: view.domain,
    address: addressAt(bytes, view.addressOffset),
    port: view.port,
    region: view.region,
    labels: labelsOf(extra),
    credentialHash: extra === undefined ? "" : toHex(extra.credentialHash),
    ttlMs: view.ttlMs,
    state: stateName(view.state),
    isStale: isStaleState(view.state),
    // Unknown scopes are those of a later program: the stricter one is true of them.
    scope: RECORD_SCOPES[view.scope] ?? "region",
    incarnation: { generation: view.incarnationGeneration, index: view.incarnationIndex },
    revision: { generation: view.revisionGeneration, index: view.revisionIndex },
    lastSeenUnixMs: view.lastSeenUnixS * 1_000,
    writer: view.writer,
  };
}

/** Information to which the fields of a kind are added in place, which costs less than a copy. */
export type Decoded<Info> = { -readonly [Name in keyof Info]: Info[Name] };

/** Returns the text of an id; "" for the nil UUID, which stands for none. */
export function optionalUuid(bytes: Uint8Array, at: number): string {
  return isNilUuid(bytes, at) ? "" : formatUuid(bytes, at);
}

/** Returns the short decimal from which a stored 32-bit float was made. */
export function shortFloat(value: number): number {
  if (Number.isInteger(value)) return value;
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === value ? short : value;
}

function labelsOf(extra: ExtraView | undefined): Record<string, string> {
  const labels: Record<string, string> = {};
  if (extra === undefined) return labels;
  const list = extra.labels;
  for (let index = 0; index < list.count; index++) {
    const { key, value } = list.at(index);
    // Not an assignment, because a key may be `__proto__`.
    Object.defineProperty(labels, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return labels;
}

/** Formats an address, with a fast path for IPv4 mapped into IPv6, which most addresses are. */
function addressAt(bytes: Uint8Array, at: number): string {
  if (bytes[at + 10] === 0xff && bytes[at + 11] === 0xff && isZero(bytes, at, at + 10)) {
    return `${bytes[at + 12]}.${bytes[at + 13]}.${bytes[at + 14]}.${bytes[at + 15]}`;
  }
  return formatAddress(bytes.subarray(at, at + ADDRESS_BYTES));
}

function isZero(bytes: Uint8Array, lo: number, hi: number): boolean {
  for (let at = lo; at < hi; at++) if (bytes[at] !== 0) return false;
  return true;
}
