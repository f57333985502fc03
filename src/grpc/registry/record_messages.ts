/** Records and answers about them as messages. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type AgentSchema,
  type CapacitySchema,
  type GatewaySchema,
  type ListedAgentSchema,
  type ListedGatewaySchema,
  type PositionSchema,
  type ReceiptSchema,
  type RecordSchema,
  RecordScope,
  type RecordSourceSchema,
  RecordState,
  type RegistrationSchema,
  type ResolvedAgentSchema,
} from "../../../schemas/proto/gen/crs/v1/records_pb.ts";
import { fromHex } from "../../base/bytes.ts";
import type { Position } from "../../base/position.ts";
import type {
  ListedAgent,
  ListedGateway,
  Receipt,
  RecordSource,
  Registered,
  ResolvedAgent,
} from "../../client/mod.ts";
import type { AgentInfo, Capacity, GatewayInfo } from "../../client/records.ts";
import type { RecordKindName } from "../../record/kinds.ts";
import type { RecordInfo } from "../../record/plain.ts";

const STATES: Readonly<Record<RecordInfo["state"], RecordState>> = {
  active: RecordState.ACTIVE,
  draining: RecordState.DRAINING,
};
const SCOPES: Readonly<Record<RecordInfo["scope"], RecordScope>> = {
  global: RecordScope.GLOBAL,
  region: RecordScope.REGION,
};

/** Returns a position. */
export function positionMessage(
  { generation, index }: Position,
): MessageInitShape<typeof PositionSchema> {
  return { generation: BigInt(generation), index: BigInt(index) };
}

/** Returns a receipt. */
export function receiptMessage(receipt: Receipt): MessageInitShape<typeof ReceiptSchema> {
  const { node, partition, term, appliedIndex, ageBoundMs } = receipt;
  return {
    node: BigInt(node),
    partition,
    term: BigInt(term),
    appliedIndex: BigInt(appliedIndex),
    ageBoundMs: Math.ceil(ageBoundMs),
  };
}

/** Returns the receipts of an answer, as its field. */
export function receiptsOf({ receipts }: { readonly receipts: readonly Receipt[] }) {
  return { receipts: receipts.map(receiptMessage) };
}

/** Returns an agent. */
export function agentMessage(agent: AgentInfo): MessageInitShape<typeof AgentSchema> {
  return { ...sharedMessage(agent), gatewayId: agent.gatewayId };
}

/** Returns a gateway. */
export function gatewayMessage(gateway: GatewayInfo): MessageInitShape<typeof GatewaySchema> {
  const { wssPort, capacity, used } = gateway;
  return {
    ...sharedMessage(gateway),
    wssPort,
    capacity: capacityMessage(capacity),
    used: capacityMessage(used),
  };
}

/** Returns a record of any kind. */
export function recordMessage(
  kind: RecordKindName,
  record: RecordInfo,
): MessageInitShape<typeof RecordSchema> {
  return kind === "agent"
    ? { record: { case: kind, value: agentMessage(record as AgentInfo) } }
    : { record: { case: kind, value: gatewayMessage(record as GatewayInfo) } };
}

/** Returns the field with the origin of a record; nothing of an own one. */
export function sourceOf(source: RecordSource | undefined) {
  return source === undefined ? {} : { source: sourceMessage(source) };
}

/** Returns an agent in a list. */
export function listedAgentMessage(
  { agent, remainingMs, source }: ListedAgent,
): MessageInitShape<typeof ListedAgentSchema> {
  return { agent: agentMessage(agent), remainingMs, ...sourceOf(source) };
}

/** Returns a gateway in a list. */
export function listedGatewayMessage(
  { gateway, remainingMs, source }: ListedGateway,
): MessageInitShape<typeof ListedGatewaySchema> {
  return { gateway: gatewayMessage(gateway), remainingMs, ...sourceOf(source) };
}

/** Returns an agent and its gateway. */
export function resolvedMessage(
  resolved: ResolvedAgent,
): MessageInitShape<typeof ResolvedAgentSchema> {
  const { domain, agent, gateway, gatewayId, agentRemainingMs, gatewayRemainingMs } = resolved;
  const { agentSource, gatewaySource } = resolved;
  return {
    domain,
    agent: agentMessage(agent),
    ...(gateway === undefined ? {} : { gateway: gatewayMessage(gateway) }),
    gatewayId: gatewayId ?? "",
    agentRemainingMs,
    gatewayRemainingMs,
    ...(agentSource === undefined ? {} : { agentSource: sourceMessage(agentSource) }),
    ...(gatewaySource === undefined ? {} : { gatewaySource: sourceMessage(gatewaySource) }),
    ...receiptsOf(resolved),
  };
}

/** Returns the result of a registration. */
export function registrationMessage(
  registered: Registered,
): MessageInitShape<typeof RegistrationSchema> {
  const { id, incarnation, revision, remainingMs, renewAfterMs, created } = registered;
  return {
    id,
    incarnation: positionMessage(incarnation),
    revision: positionMessage(revision),
    remainingMs,
    renewAfterMs,
    created,
    ...receiptsOf(registered),
  };
}

function sourceMessage(source: RecordSource): MessageInitShape<typeof RecordSourceSchema> {
  const { home, revision, ageMs, suspended } = source;
  return {
    homeRegion: home,
    revision: positionMessage(revision),
    ...(ageMs === undefined ? {} : { ageMs: BigInt(Math.ceil(ageMs)) }),
    suspended,
  };
}

function capacityMessage(capacity: Capacity): MessageInitShape<typeof CapacitySchema> {
  const { cpu, memoryMiB, storageMiB, bandwidthMbps, connections } = capacity;
  return {
    cpu,
    memoryMib: BigInt(memoryMiB),
    storageMib: BigInt(storageMiB),
    bandwidthMbps,
    connections: BigInt(connections),
  };
}

function sharedMessage(record: RecordInfo) {
  const { id, domain, address, port, region, labels, ttlMs } = record;
  return {
    id,
    domain,
    address,
    port,
    region,
    labels: { ...labels },
    credentialHash: fromHex(record.credentialHash)!,
    ttlMs,
    state: STATES[record.state],
    isStale: record.isStale,
    scope: SCOPES[record.scope],
    incarnation: positionMessage(record.incarnation),
    revision: positionMessage(record.revision),
    lastSeenUnixMs: BigInt(record.lastSeenUnixMs),
    writer: BigInt(record.writer),
  };
}
