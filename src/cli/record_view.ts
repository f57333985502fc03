/**
 * Answers of the registry as replies: records as facts or rows for people, and as documents with
 * stable fields for scripts. Absent values are `null` in a document, never omitted.
 */
import type {
  AgentAnswer,
  AgentInfo,
  Capacity,
  Deregistered,
  GatewayAnswer,
  GatewayInfo,
  Incarnation,
  Receipt,
  Registered,
  Reported,
  ResolvedAgent,
} from "../client/mod.ts";
import { formatDuration } from "./duration.ts";
import type { Reply } from "./shell.ts";
import type { Cell } from "./table.ts";
import type { Writer } from "./writer.ts";

type Fact = readonly [string, Cell];

/** Formats an incarnation as `generation.index`. */
export function incarnationText({ generation, index }: Incarnation): string {
  return `${generation}.${index}`;
}

/** Returns the reply to a registration. */
export function registeredReply(kind: "agent" | "gateway", registered: Registered): Reply {
  const { id, incarnation, revision, remainingMs, renewAfterMs, created, receipts } = registered;
  return {
    json: { kind, id, incarnation, revision, remainingMs, renewAfterMs, created, receipts },
    text: async () => {
      const { facts } = await import("./table.ts");
      return `${created ? "Registered" : "Updated"} ${kind} ${id}\n` + facts([
        ["incarnation", incarnationText(incarnation)],
        ["lease", `${formatDuration(remainingMs)}, then it expires unless renewed`],
        ["receipt", receiptsText(receipts)],
      ]) + `Register it again to renew it, or use \`crs ${kind} keep\`.\n`;
    },
  };
}

/** Returns a reply with one gateway. */
export function gatewayReply(
  { gateway, remainingMs, receipts }: GatewayAnswer,
  writer?: Writer,
): Reply {
  return {
    json: { gateway, remainingMs, receipts, writer: writer ?? null },
    text: async () => {
      const { facts } = await import("./table.ts");
      return facts([
        ...gatewayFacts(gateway, remainingMs),
        ...writerFacts(writer),
        ["receipt", receiptsText(receipts)],
      ]);
    },
  };
}

/** Returns a reply with one agent. */
export function agentReply(
  { agent, remainingMs, receipts }: AgentAnswer,
  writer?: Writer,
): Reply {
  return {
    json: { agent, remainingMs, receipts, writer: writer ?? null },
    text: async () => {
      const { facts } = await import("./table.ts");
      return facts([
        ...agentFacts(agent, remainingMs),
        ...writerFacts(writer),
        ["receipt", receiptsText(receipts)],
      ]);
    },
  };
}

/** Returns a reply with an agent and its gateway. */
export function resolvedReply(resolved: ResolvedAgent): Reply {
  const { domain, agent, gateway, gatewayId, agentRemainingMs, gatewayRemainingMs } = resolved;
  return {
    json: {
      domain,
      agent,
      gateway: gateway ?? null,
      gatewayId: gatewayId ?? null,
      agentRemainingMs,
      gatewayRemainingMs,
      stale: resolved.stale,
      ageMs: resolved.ageMs,
      receipts: resolved.receipts,
    },
    text: async () => {
      const { facts } = await import("./table.ts");
      const missing = gatewayId === undefined
        ? "  none: the agent names no gateway\n"
        : `  ${gatewayId} is not registered, or its lease has ended\n`;
      return `Agent of ${domain}\n` + facts(agentFacts(agent, agentRemainingMs)) +
        "Gateway\n" +
        (gateway === undefined ? missing : facts(gatewayFacts(gateway, gatewayRemainingMs))) +
        `Receipts\n` + resolved.receipts.map((receipt) => `  ${receiptText(receipt)}\n`).join("");
    },
  };
}

/** Returns the reply to a change of draining. */
export function drainedReply(
  kind: "agent" | "gateway",
  id: string,
  draining: boolean,
  { revision, receipts }: Reported,
): Reply {
  const [first = "", ...rest] = kind;
  return {
    json: { kind, id, draining, revision, receipts },
    text: () =>
      `${first.toUpperCase()}${rest.join("")} ${id} is ${draining ? "draining" : "active"}, ` +
      `revision ${incarnationText(revision)}.\n`,
  };
}

/** Returns the reply to a deregistration. */
export function deregisteredReply(
  kind: "agent" | "gateway",
  id: string,
  { removed, receipts }: Deregistered,
): Reply {
  return {
    json: { kind, id, removed, receipts },
    text: () => {
      if (removed === 0) return `The ${kind} ${id} was already gone.\n`;
      const others = removed > 1 ? ` and ${removed - 1} of its agents` : "";
      return `Deregistered ${kind} ${id}${others}.\n`;
    },
  };
}

function gatewayFacts(gateway: GatewayInfo, remainingMs: number): Fact[] {
  return [
    ...recordFacts(gateway),
    ...(gateway.wssPort === 0 ? [] : [["wss port", gateway.wssPort] as const]),
    ["capacity", capacityText(gateway.capacity)],
    ["used", capacityText(gateway.used)],
    ...ownedFacts(gateway, remainingMs),
  ];
}

function agentFacts(agent: AgentInfo, remainingMs: number): Fact[] {
  return [
    ...recordFacts(agent),
    ["gateway", agent.gatewayId === "" ? "none" : agent.gatewayId],
    ...ownedFacts(agent, remainingMs),
  ];
}

/** Returns the certificate by which the record was last written. */
function writerFacts(writer: Writer | undefined): Fact[] {
  if (writer === undefined) return [];
  const { subject, lineage, stopped } = writer;
  const state = stopped === "" ? "" : `, which was ${stopped}`;
  return [["written by", `${subject}, lineage ${lineage}${state}`]];
}

function recordFacts(record: AgentInfo | GatewayInfo): Fact[] {
  return [
    ["id", record.id],
    ["domain", record.domain === "" ? "none" : record.domain],
    ["address", addressText(record)],
    ["region", record.region],
    ["state", record.state],
  ];
}

function ownedFacts(record: AgentInfo | GatewayInfo, remainingMs: number): Fact[] {
  const labels = Object.entries(record.labels).map(([key, value]) => `${key}=${value}`).join(" ");
  return [
    ...(labels === "" ? [] : [["labels", labels] as const]),
    ...(record.credentialHash === "" ? [] : [["credential hash", record.credentialHash] as const]),
    // May exceed the ttl: after a restart a node uses the logged cover.
    ["lease", `${formatDuration(remainingMs)} left, ttl ${formatDuration(record.ttlMs)}`],
    ["last seen", new Date(record.lastSeenUnixMs).toISOString()],
    ["incarnation", incarnationText(record.incarnation)],
    ["revision", incarnationText(record.revision)],
  ];
}

/** Formats an address as `host:port`, as far as the parts exist. */
export function addressText({ address, port }: { address: string; port: number }): string {
  if (address === "") return port === 0 ? "none" : `port ${port}`;
  const host = address.includes(":") ? `[${address}]` : address;
  return port === 0 ? host : `${host}:${port}`;
}

/** Formats the non-zero dimensions of a capacity. */
export function capacityText(capacity: Capacity): string {
  const parts = [
    [capacity.cpu, "cpu"],
    [capacity.memoryMiB, "MiB memory"],
    [capacity.storageMiB, "MiB storage"],
    [capacity.bandwidthMbps, "Mbit/s"],
    [capacity.connections, "connections"],
  ].filter(([amount]) => amount !== 0).map(([amount, unit]) => `${amount} ${unit}`);
  return parts.length === 0 ? "unknown" : parts.join(", ");
}

function receiptsText(receipts: readonly Receipt[]): string {
  return receipts.map(receiptText).join("; ");
}

/** Formats the source and freshness of an answer as one line. */
function receiptText({ node, partition, term, appliedIndex, ageBoundMs }: Receipt): string {
  const age = ageBoundMs === 0 ? "linearizable" : `at most ${ageBoundMs} ms old`;
  return `node ${node}, partition ${partition}, term ${term}, index ${appliedIndex}, ${age}`;
}
