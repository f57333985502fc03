/** Fields of requests, checked, and as the SDK takes them. Nodes check the rest again. */
import type { MessageShape } from "@bufbuild/protobuf";
import type {
  AgentSchema,
  Capacity as CapacityMessage,
  GatewaySchema,
  Position as PositionMessage,
} from "../../../schemas/proto/gen/crs/v1/records_pb.ts";
import { toHex } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import type { Position } from "../../base/position.ts";
import type { CallOptions } from "../../client/mod.ts";
import type { AgentInput, Capacity, GatewayInput } from "../../client/records.ts";
import type { RecordKindName } from "../../record/kinds.ts";
import { RECORD_SCOPES, RECORD_STATES } from "../../record/plain.ts";
import type { CallContext } from "../service.ts";
import { callOptionsOf } from "../service.ts";

/** The kinds of records, by their numbers less one. */
export const RECORD_KIND_NAMES = ["agent", "gateway"] as const satisfies readonly RecordKindName[];

/** Returns the refusal of a field. */
export function invalidField(field: string, must: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${must}`, { field });
}

/** Returns a field that must be given. @throws RegistryError `invalid_argument`. */
export function required<T>(value: T | undefined, field: string): T {
  if (value !== undefined && value !== "") return value;
  throw invalidField(field, "be given");
}

/** Returns an integer as a number. @throws RegistryError `invalid_argument` above 2^53 - 1. */
export function numberOf(value: bigint, field: string): number {
  if (value <= Number.MAX_SAFE_INTEGER) return Number(value);
  throw invalidField(field, `be at most ${Number.MAX_SAFE_INTEGER}: found ${value}`);
}

/** Checks how many there are. @throws RegistryError `invalid_argument` if none, `too_large`. */
export function checkCount(count: number, countMax: number, field: string): void {
  if (count === 0) throw invalidField(field, "be given");
  if (count <= countMax) return;
  throw new RegistryError(
    "too_large",
    `${field} must be at most ${countMax}: there are ${count}. Send them in several requests`,
    { field },
  );
}

/**
 * Returns the name of an enum's value; undefined if it is unspecified.
 *
 * @param names by their numbers less one.
 * @throws RegistryError `invalid_argument` if it has no name.
 */
export function nameOf<Name extends string>(
  number: number,
  names: readonly Name[],
  field: string,
): Name | undefined {
  if (number === 0) return undefined;
  const name = names[number - 1];
  if (name !== undefined) return name;
  throw invalidField(field, `be 1 to ${names.length} (${names.join(", ")}): found ${number}`);
}

/** Returns a position. @throws RegistryError `invalid_argument`. */
export function positionOf({ generation, index }: PositionMessage, field: string): Position {
  return {
    generation: numberOf(generation, `${field}.generation`),
    index: numberOf(index, `${field}.index`),
  };
}

/** Returns the incarnation that a request names, if it names one. @throws RegistryError `invalid_argument`. */
export function incarnationOf(
  { incarnation }: { readonly incarnation?: PositionMessage | undefined },
): { readonly incarnation?: Position } {
  return incarnation === undefined ? {} : { incarnation: positionOf(incarnation, "incarnation") };
}

/** Returns the options of a read. */
export function readOptionsOf(
  { maxStalenessMs, region }: {
    readonly maxStalenessMs?: number | undefined;
    readonly region?: string;
  },
  context: CallContext,
): CallOptions {
  return {
    ...callOptionsOf(context),
    ...(maxStalenessMs === undefined ? {} : { maxStalenessMs }),
    ...(region === undefined || region === "" ? {} : { region }),
  };
}

/**
 * Returns an agent to register. Fields that the registry sets are left out.
 *
 * @param regionDefault the region of one that names none.
 * @throws RegistryError `invalid_argument`.
 */
export function agentInput(
  { gatewayId, ...agent }: MessageShape<typeof AgentSchema>,
  regionDefault: string,
): AgentInput {
  return {
    ...sharedInput(agent, regionDefault),
    ...(gatewayId === "" ? {} : { gatewayId }),
  };
}

/** Returns a gateway to register, as {@link agentInput}. */
export function gatewayInput(
  { wssPort, capacity, used, ...gateway }: MessageShape<typeof GatewaySchema>,
  regionDefault: string,
): GatewayInput {
  return {
    ...sharedInput(gateway, regionDefault),
    wssPort,
    ...(capacity === undefined ? {} : { capacity: capacityOf(capacity, "capacity") }),
    ...(used === undefined ? {} : { used: capacityOf(used, "used") }),
  };
}

/** Returns amounts of resources. @throws RegistryError `invalid_argument`. */
export function capacityOf(capacity: CapacityMessage, field: string): Capacity {
  const { cpu, memoryMib, storageMib, bandwidthMbps, connections } = capacity;
  return {
    cpu,
    memoryMiB: numberOf(memoryMib, `${field}.memory_mib`),
    storageMiB: numberOf(storageMib, `${field}.storage_mib`),
    bandwidthMbps,
    connections: numberOf(connections, `${field}.connections`),
  };
}

/** The fields that agents and gateways share. */
type SharedMessage = Pick<
  MessageShape<typeof AgentSchema>,
  | "id"
  | "domain"
  | "address"
  | "port"
  | "region"
  | "labels"
  | "credentialHash"
  | "ttlMs"
  | "state"
  | "scope"
>;

function sharedInput(record: SharedMessage, regionDefault: string) {
  const { id, domain, address, port, region, labels, credentialHash, ttlMs } = record;
  const state = nameOf(record.state, RECORD_STATES, "state");
  const scope = nameOf(record.scope, RECORD_SCOPES, "scope");
  return {
    ...(id === "" ? {} : { id }),
    domain,
    address,
    port,
    region: region === "" ? regionDefault : region,
    labels,
    credentialHash: toHex(credentialHash),
    ttlMs,
    ...(state === undefined ? {} : { state }),
    ...(scope === undefined ? {} : { scope }),
  };
}
