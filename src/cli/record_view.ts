/**
 * Answers of the registry as replies: records as facts or rows for people, and as documents
 * (src/answers) for scripts.
 */
import type {
  Deregistered,
  Receipt,
  RecordSource,
  Registered,
  Reported,
  ResolvedAgent,
} from "../client/mod.ts";
import type { Field } from "../record/field.ts";
import { kindNamed, type RecordKindName } from "../record/kinds.ts";
import type { RecordInfo } from "../record/plain.ts";
import type { Leased } from "../answers/record_calls.ts";
import {
  deregisteredJson,
  drainedJson,
  incarnationText,
  recordJson,
  registeredJson,
  resolvedJson,
} from "../answers/record_json.ts";
import type { Writer } from "../answers/writer.ts";
import { formatDuration } from "./duration.ts";
import type { Reply } from "./shell.ts";
import type { Cell } from "./table.ts";

type Fact = readonly [string, Cell];

/** Returns the reply to a registration. */
export function registeredReply(kind: RecordKindName, registered: Registered): Reply {
  const { id, incarnation, remainingMs, created, receipts } = registered;
  return {
    json: registeredJson(kind, registered),
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

/** Returns a reply with one record. */
export function recordReply(
  kind: RecordKindName,
  answer: Leased & { readonly receipts: readonly Receipt[] },
  writer?: Writer,
): Reply {
  const { record, remainingMs, source, receipts } = answer;
  return {
    json: recordJson(kind, answer, writer),
    text: async () => {
      const { facts } = await import("./table.ts");
      return facts([
        ...recordFacts(kind, record, leaseOf(remainingMs, receipts[0], source)),
        ...homeFacts(source),
        ...writerFacts(writer),
        ["receipt", receiptsText(receipts)],
      ]);
    },
  };
}

/** Returns a reply with an agent and its gateway. */
export function resolvedReply(resolved: ResolvedAgent): Reply {
  const { domain, agent, gateway, gatewayId, agentRemainingMs, gatewayRemainingMs } = resolved;
  const { agentSource, gatewaySource } = resolved;
  const [, agentReceipt, gatewayReceipt] = resolved.receipts;
  return {
    json: resolvedJson(resolved),
    text: async () => {
      const { facts } = await import("./table.ts");
      const missing = gatewayId === undefined
        ? "  none: the agent names no gateway\n"
        : `  ${gatewayId} is not registered, or its lease has ended\n`;
      const agentLease = leaseOf(agentRemainingMs, agentReceipt, agentSource);
      const gatewayLease = leaseOf(gatewayRemainingMs, gatewayReceipt, gatewaySource);
      const agentFacts = [...recordFacts("agent", agent, agentLease), ...homeFacts(agentSource)];
      return `Agent of ${domain}\n` + facts(agentFacts) +
        "Gateway\n" +
        (gateway === undefined ? missing : facts([
          ...recordFacts("gateway", gateway, gatewayLease),
          ...homeFacts(gatewaySource),
        ])) +
        `Receipts\n` + resolved.receipts.map((receipt) => `  ${receiptText(receipt)}\n`).join("");
    },
  };
}

/** Returns the reply to a change of draining. */
export function drainedReply(
  kind: RecordKindName,
  id: string,
  draining: boolean,
  reported: Reported,
): Reply {
  const [first = "", ...rest] = kind;
  return {
    json: drainedJson(kind, id, draining, reported),
    text: () =>
      `${first.toUpperCase()}${rest.join("")} ${id} is ${draining ? "draining" : "active"}, ` +
      `revision ${incarnationText(reported.revision)}.\n`,
  };
}

/** Returns the reply to a deregistration. */
export function deregisteredReply(
  kind: RecordKindName,
  id: string,
  deregistered: Deregistered,
): Reply {
  const { removed } = deregistered;
  return {
    json: deregisteredJson(kind, id, deregistered),
    text: () => {
      if (removed === 0) return `The ${kind} ${id} was already gone.\n`;
      const others = removed > 1 ? ` and ${removed - 1} of its agents` : "";
      return `Deregistered ${kind} ${id}${others}.\n`;
    },
  };
}

function recordFacts(kind: RecordKindName, record: RecordInfo, lease: string): Fact[] {
  return [
    ["id", record.id],
    ["domain", record.domain === "" ? "none" : record.domain],
    ["address", addressText(record)],
    ["region", record.region],
    ...(record.scope === "global" ? [] : [["scope", record.scope] as const]),
    ["state", stateText(record)],
    ...kindNamed(kind).ownFields.flatMap((field) => ownFact(field, record)),
    ...ownedFacts(record, lease),
  ];
}

/** Formats a record's state. */
export function stateText({ state, isStale }: RecordInfo): string {
  return isStale ? `${state}, stale` : state;
}

/** Returns the value of a field that only this kind has. */
function ownFact(field: Field, record: RecordInfo): Fact[] {
  const { view } = field;
  if (view === undefined) return [];
  const shown = shownField(field, record);
  if (shown !== "") return [[view.label, shown]];
  return view.omitsEmpty === true ? [] : [[view.label, "none"]];
}

/** Returns a field of a record for people; "" if it is empty. */
export function shownField({ name, type }: Field, record: RecordInfo): Cell {
  return type.show((record as unknown as Readonly<Record<string, unknown>>)[name]);
}

/** Returns the certificate by which the record was last written. */
function writerFacts(writer: Writer | undefined): Fact[] {
  if (writer === undefined) return [];
  const { subject, lineage, stopped } = writer;
  const state = stopped === "" ? "" : `, which was ${stopped}`;
  return [["written by", `${subject}, lineage ${lineage}${state}`]];
}

function ownedFacts(record: RecordInfo, lease: string): Fact[] {
  const labels = Object.entries(record.labels).map(([key, value]) => `${key}=${value}`).join(" ");
  return [
    ...(labels === "" ? [] : [["labels", labels] as const]),
    ...(record.credentialHash === "" ? [] : [["credential hash", record.credentialHash] as const]),
    ["lease", `${lease}, ttl ${formatDuration(record.ttlMs)}`],
    ["last seen", new Date(record.lastSeenUnixMs).toISOString()],
    ["incarnation", incarnationText(record.incarnation)],
    ["revision", incarnationText(record.revision)],
  ];
}

/** Returns the origin of a record of another region. */
function homeFacts(source: RecordSource | undefined): Fact[] {
  return source === undefined ? [] : [["home", sourceText(source)]];
}

/** Formats the origin of a record of another region. */
function sourceText({ home, ageMs, suspended }: RecordSource): string {
  const age = ageMs === undefined ? "of unknown age" : `at most ${formatDuration(ageMs)} old`;
  return `${home}, ${age}${suspended ? "; suspended: it may have ended meanwhile" : ""}`;
}

/**
 * Returns the rest of a lease. A follower knows only the cover, up to which the record is logged to
 * live; a leader knows the renewals, too, but after a restart it may expire a record by its cover.
 */
function leaseOf(
  remainingMs: number,
  receipt: Receipt | undefined,
  source: RecordSource | undefined,
): string {
  if (source !== undefined) return "kept by its home";
  const left = `${formatDuration(remainingMs)} left`;
  return (receipt?.ageBoundMs ?? 0) > 0 ? `at most ${left} (its cover)` : left;
}

/** Formats an address as `host:port`, as far as the parts exist. */
export function addressText({ address, port }: { address: string; port: number }): string {
  if (address === "") return port === 0 ? "none" : `port ${port}`;
  const host = address.includes(":") ? `[${address}]` : address;
  return port === 0 ? host : `${host}:${port}`;
}

/** Formats receipts as one line. */
export function receiptsText(receipts: readonly Receipt[]): string {
  return receipts.map(receiptText).join("; ");
}

/** Formats the source and freshness of an answer as one line. */
function receiptText({ node, partition, term, appliedIndex, ageBoundMs }: Receipt): string {
  const age = ageBoundMs === 0 ? "linearizable" : `at most ${ageBoundMs} ms old`;
  return `node ${node}, partition ${partition}, term ${term}, index ${appliedIndex}, ${age}`;
}
