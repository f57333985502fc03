/**
 * Decodes records directly from the received chunk into the objects returned to users. The result
 * equals that of src/record/plain.ts, which starts from the plain stored form; this takes a third
 * of the time, because it creates no intermediate objects. A test compares the two.
 */
import type { AgentView, ExtraView, GatewayView } from "../../schemas/gen/record.ts";
import { toHex } from "../base/bytes.ts";
import { formatUuid, isNilUuid } from "../base/uuid.ts";
import { ADDRESS_BYTES, formatAddress } from "../record/address.ts";
import type { AgentInfo, GatewayInfo } from "../record/plain.ts";
import { type Capacity, RECORD_STATES } from "../record/validation.ts";

/** Returns a copy of the agent at `view`. @throws RegistryError `malformed`. */
export function agentOf(view: AgentView): AgentInfo {
  const bytes = view.$bytes;
  const gatewayAt = view.gatewayIdOffset;
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
    state: RECORD_STATES[view.state] ?? "active",
    incarnation: { generation: view.incarnationGeneration, index: view.incarnationIndex },
    revision: { generation: view.revisionGeneration, index: view.revisionIndex },
    lastSeenUnixMs: view.lastSeenUnixS * 1_000,
    writer: view.writer,
    gatewayId: isNilUuid(bytes, gatewayAt) ? "" : formatUuid(bytes, gatewayAt),
  };
}

/** Returns a copy of the gateway at `view`. @throws RegistryError `malformed`. */
export function gatewayOf(view: GatewayView): GatewayInfo {
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
    state: RECORD_STATES[view.state] ?? "active",
    incarnation: { generation: view.incarnationGeneration, index: view.incarnationIndex },
    revision: { generation: view.revisionGeneration, index: view.revisionIndex },
    lastSeenUnixMs: view.lastSeenUnixS * 1_000,
    writer: view.writer,
    wssPort: view.wssPort,
    capacity: capacityOf(view),
    used: usedOf(view),
  };
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

function capacityOf(view: GatewayView): Capacity {
  return {
    cpu: shortFloat(view.capacityCpu),
    memoryMiB: view.capacityMemoryMiB,
    storageMiB: view.capacityStorageMiB,
    bandwidthMbps: shortFloat(view.capacityBandwidthMbps),
    connections: view.capacityConnections,
  };
}

function usedOf(view: GatewayView): Capacity {
  return {
    cpu: shortFloat(view.usedCpu),
    memoryMiB: view.usedMemoryMiB,
    storageMiB: view.usedStorageMiB,
    bandwidthMbps: shortFloat(view.usedBandwidthMbps),
    connections: view.usedConnections,
  };
}

/** Returns the short decimal from which a stored 32-bit float was made. */
function shortFloat(value: number): number {
  if (Number.isInteger(value)) return value;
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === value ? short : value;
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
