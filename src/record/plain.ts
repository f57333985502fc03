/**
 * Agents and gateways as plain values for people and programs: ids and addresses as text, labels as
 * an object, states by name; and the conversion to and from the stored form (schemas/record.capnp).
 */
import { fromHex, toHex } from "../base/bytes.ts";
import { formatUuid, isNilUuid, parseUuid, UUID_BYTES } from "../base/uuid.ts";
import type { Agent, Extra, Gateway } from "../../schemas/gen/record.ts";
import { formatAddress } from "./address.ts";
import {
  addressFromText,
  type Capacity,
  invalid,
  RECORD_STATES,
  type RecordState,
} from "./validation.ts";

/** A position in a group's history; greater is later. */
export interface RecordPosition {
  readonly generation: number;
  readonly index: number;
}

/** Fields of an agent or gateway set by its owner. Absent ones are empty, zero, or the default. */
interface RecordInput {
  /** UUID text; defaults to the id of the caller's identity. */
  readonly id?: string;
  readonly domain?: string;
  /** IPv4 or IPv6 text. */
  readonly address?: string;
  readonly port?: number;
  readonly region: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Hexadecimal, up to 64 bytes. */
  readonly credentialHash?: string;
  /** Lease, 5,000 to 86,400,000; default 30,000. */
  readonly ttlMs?: number;
  readonly state?: RecordState;
}

/** An agent to register. */
export interface AgentInput extends RecordInput {
  /** UUID text of the gateway that the agent is attached to. */
  readonly gatewayId?: string;
}

/** A gateway to register. */
export interface GatewayInput extends RecordInput {
  readonly wssPort?: number;
  /** Total capacity; an absent dimension is unspecified. */
  readonly capacity?: Partial<Capacity>;
  /** The part of the capacity that is in use. */
  readonly used?: Partial<Capacity>;
}

/** Fields of every registered record. */
interface RecordInfo {
  readonly id: string;
  readonly domain: string;
  readonly address: string;
  readonly port: number;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly credentialHash: string;
  readonly ttlMs: number;
  readonly state: RecordState;
  readonly incarnation: RecordPosition;
  readonly revision: RecordPosition;
  /** Wall time of the last logged sign of life, ms since 1970; for display. */
  readonly lastSeenUnixMs: number;
  /** Number in the system group of the identity that wrote the record last. */
  readonly writer: number;
}

/** A registered agent. */
export interface AgentInfo extends RecordInfo {
  /** "" when it is attached to none. */
  readonly gatewayId: string;
}

/** A registered gateway. */
export interface GatewayInfo extends RecordInfo {
  readonly wssPort: number;
  readonly capacity: Readonly<Capacity>;
  readonly used: Readonly<Capacity>;
}

/**
 * Identification of a request's place in time: the owner's process and its growing sequence number.
 */
export interface Ownership {
  /** Random number chosen at each start of the owner, `[1, 2^53)`. */
  readonly process: number;
  /** Grows with each request of the process, `[1, 2^32)`. */
  readonly sequence: number;
}

const NO_POSITION: RecordPosition = Object.freeze({ generation: 0, index: 0 });
const NO_CAPACITY: Capacity = Object.freeze({
  cpu: 0,
  memoryMiB: 0,
  storageMiB: 0,
  bandwidthMbps: 0,
  connections: 0,
});

function extraOf(input: RecordInput): Extra | undefined {
  const labels = Object.entries(input.labels ?? {}).map(([key, value]) => ({ key, value }));
  const credentialHash = fromHex(input.credentialHash ?? "");
  if (credentialHash === undefined) {
    throw invalid("credentialHash", "be hexadecimal", input.credentialHash);
  }
  if (labels.length === 0 && credentialHash.length === 0) return undefined;
  return { credentialHash, labels, superseded: [] };
}

function uuidOf(text: string | undefined, field: string): Uint8Array {
  return text === undefined || text === "" ? new Uint8Array(UUID_BYTES) : parseUuid(text, field);
}

function storedOf(input: RecordInput, { process, sequence }: Ownership) {
  const state = RECORD_STATES.indexOf(input.state ?? "active");
  if (state === -1) throw invalid("state", `be one of ${RECORD_STATES.join(", ")}`, input.state);
  return {
    id: uuidOf(input.id, "id"),
    address: addressFromText(input.address ?? ""),
    process,
    sequence,
    leaseExpiryMs: 0,
    incarnation: NO_POSITION,
    revision: NO_POSITION,
    ttlMs: input.ttlMs ?? 0,
    lastSeenUnixS: 0,
    writer: 0,
    port: input.port ?? 0,
    state,
    domain: input.domain ?? "",
    region: input.region,
    extra: extraOf(input),
  };
}

/**
 * Returns the stored form of an agent to register, to be checked by `validateAgent`.
 *
 * @throws RegistryError `invalid_argument` when text does not parse.
 */
export function agentToStored(input: AgentInput, ownership: Ownership): Agent {
  return {
    ...storedOf(input, ownership),
    gatewayId: uuidOf(input.gatewayId, "gatewayId"),
    claim: NO_POSITION,
  };
}

/** Returns the stored form of a gateway to register, to be checked by `validateGateway`. */
export function gatewayToStored(input: GatewayInput, ownership: Ownership): Gateway {
  return {
    ...storedOf(input, ownership),
    wssPort: input.wssPort ?? 0,
    capacity: { ...NO_CAPACITY, ...input.capacity },
    used: { ...NO_CAPACITY, ...input.used },
  };
}

function infoOf(record: Agent | Gateway): RecordInfo {
  const labels = record.extra?.labels ?? [];
  return {
    id: formatUuid(record.id),
    domain: record.domain,
    address: formatAddress(record.address),
    port: record.port,
    region: record.region,
    labels: Object.fromEntries(labels.map(({ key, value }) => [key, value])),
    credentialHash: toHex(record.extra?.credentialHash ?? new Uint8Array(0)),
    ttlMs: record.ttlMs,
    state: RECORD_STATES[record.state] ?? "active",
    incarnation: record.incarnation,
    revision: record.revision,
    lastSeenUnixMs: record.lastSeenUnixS * 1_000,
    writer: record.writer,
  };
}

/** Returns an agent as a plain value. */
export function agentFromStored(agent: Agent): AgentInfo {
  const gatewayId = isNilUuid(agent.gatewayId) ? "" : formatUuid(agent.gatewayId);
  return { ...infoOf(agent), gatewayId };
}

/** Returns a gateway as a plain value. */
export function gatewayFromStored(gateway: Gateway): GatewayInfo {
  const { wssPort, capacity, used } = gateway;
  return {
    ...infoOf(gateway),
    wssPort,
    capacity: roundedCapacity(capacity),
    used: roundedCapacity(used),
  };
}

/** Returns the capacity with stored 32-bit floats as the short decimals they were made from. */
function roundedCapacity(capacity: Capacity): Capacity {
  const { cpu, bandwidthMbps } = capacity;
  return { ...capacity, cpu: shortFloat(cpu), bandwidthMbps: shortFloat(bandwidthMbps) };
}

function shortFloat(value: number): number {
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === value ? short : value;
}
