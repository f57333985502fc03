/**
 * Field names of other callers (`gateway_ip`, `wss_port`, `verifiable_cred_hash`, …), accepted
 * beside ours so that the JSON gateways send today registers unchanged (design §3). An unknown
 * field is refused by name: a silently ignored typo would register something other than intended.
 *
 * Units of the foreign fields: cpu in cores, memory and storage in MiB, bandwidth in Mbit/s, ttl in
 * seconds.
 */
import type { AgentInput, GatewayInput } from "./plain.ts";
import { invalid } from "./validation.ts";

/** Conversion of a foreign value to ours. */
type Convert = (value: unknown, field: string) => unknown;

interface Word {
  /** Our name of the field. */
  readonly field: string;
  readonly convert: Convert;
}

function text(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  throw invalid(field, "be text", value);
}

function number(value: unknown, field: string): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw invalid(field, "be a number", value);
}

function secondsToMs(value: unknown, field: string): number {
  return Math.round(number(value, field) * 1_000);
}

function hash(value: unknown, field: string): string {
  return text(value, field).replace(/^(0x|sha256:)/i, "");
}

function labels(value: unknown, field: string): Record<string, string> {
  const found = object(value, field);
  for (const [key, label] of Object.entries(found)) text(label, `${field}.${key}`);
  return found as Record<string, string>;
}

function object(value: unknown, field: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw invalid(field, "be an object", value);
}

const CAPACITY_WORDS = new Map<string, Word>([
  ["cpu", { field: "cpu", convert: number }],
  ["memory", { field: "memoryMiB", convert: number }],
  ["memoryMiB", { field: "memoryMiB", convert: number }],
  ["storage", { field: "storageMiB", convert: number }],
  ["storageMiB", { field: "storageMiB", convert: number }],
  ["bandwidth", { field: "bandwidthMbps", convert: number }],
  ["bandwidthMbps", { field: "bandwidthMbps", convert: number }],
  ["connections", { field: "connections", convert: number }],
]);

const capacity: Convert = (value, field) => translate(object(value, field), CAPACITY_WORDS, field);

const COMMON_WORDS: readonly [string, Word][] = [
  ["id", { field: "id", convert: text }],
  ["domain", { field: "domain", convert: text }],
  ["address", { field: "address", convert: text }],
  ["port", { field: "port", convert: number }],
  ["region", { field: "region", convert: text }],
  ["labels", { field: "labels", convert: labels }],
  ["credentialHash", { field: "credentialHash", convert: hash }],
  ["verifiable_cred_hash", { field: "credentialHash", convert: hash }],
  ["ttlMs", { field: "ttlMs", convert: number }],
  ["ttl", { field: "ttlMs", convert: secondsToMs }],
  ["state", { field: "state", convert: text }],
];

const GATEWAY_WORDS = new Map<string, Word>([
  ...COMMON_WORDS,
  ["gateway_id", { field: "id", convert: text }],
  ["gateway_domain", { field: "domain", convert: text }],
  ["gateway_ip", { field: "address", convert: text }],
  ["gateway_port", { field: "port", convert: number }],
  ["wssPort", { field: "wssPort", convert: number }],
  ["wss_port", { field: "wssPort", convert: number }],
  ["capacity", { field: "capacity", convert: capacity }],
  ["used", { field: "used", convert: capacity }],
]);

const AGENT_WORDS = new Map<string, Word>([
  ...COMMON_WORDS,
  ["agent_id", { field: "id", convert: text }],
  ["agent_domain", { field: "domain", convert: text }],
  ["agent_ip", { field: "address", convert: text }],
  ["agent_port", { field: "port", convert: number }],
  ["gatewayId", { field: "gatewayId", convert: text }],
  ["gateway_id", { field: "gatewayId", convert: text }],
]);

function translate(
  foreign: Record<string, unknown>,
  words: ReadonlyMap<string, Word>,
  within = "",
): Record<string, unknown> {
  const ours: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(foreign)) {
    const name = within === "" ? key : `${within}.${key}`;
    const word = words.get(key);
    if (word === undefined) {
      throw invalid(name, `be one of ${[...words.keys()].join(", ")}`, key);
    }
    if (value === null || value === undefined) continue;
    if (Object.hasOwn(ours, word.field)) throw invalid(name, `set ${word.field} only once`, value);
    ours[word.field] = word.convert(value, name);
  }
  return ours;
}

function withRegion(ours: Record<string, unknown>): Record<string, unknown> {
  if (ours.region === undefined) throw invalid("region", "be given", "nothing");
  return ours;
}

/**
 * Returns a gateway from parsed JSON with our field names or foreign ones.
 *
 * @throws RegistryError `invalid_argument` with the field.
 */
export function gatewayFromJson(json: unknown): GatewayInput {
  const ours = withRegion(translate(object(json, "gateway"), GATEWAY_WORDS));
  return ours as unknown as GatewayInput;
}

/** Returns an agent from parsed JSON; accepts and throws the same as {@link gatewayFromJson}. */
export function agentFromJson(json: unknown): AgentInput {
  const ours = withRegion(translate(object(json, "agent"), AGENT_WORDS));
  return ours as unknown as AgentInput;
}
