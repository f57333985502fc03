/**
 * Builds the record to register from a JSON file, in our vocabulary or that of other callers
 * (src/record/vocabulary.ts), and from flags, which override it. The registry's own validation runs
 * before sending, so that every mistake is reported with its field, even a value that could not be
 * encoded.
 */
import { TTL_MS_MAX, TTL_MS_MIN } from "../base/limits.ts";
import type { AgentInput, Capacity, GatewayInput } from "../client/mod.ts";
import { agentToStored, gatewayToStored } from "../record/plain.ts";
import { validateAgent, validateGateway } from "../record/validation.ts";
import { agentFromJson, gatewayFromJson } from "../record/vocabulary.ts";
import { parseDuration } from "./duration.ts";
import { usageFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** Flags of every record, as typed. */
export interface RecordFlags {
  readonly file?: string;
  readonly id?: string;
  readonly domain?: string;
  readonly address?: string;
  readonly port?: string;
  readonly region?: string;
  /** Labels, each `key=value`. */
  readonly label?: readonly string[];
  readonly credentialHash?: string;
  /** A duration. */
  readonly ttl?: string;
  readonly draining?: boolean;
}

/** Flags of an agent. */
export interface AgentFlags extends RecordFlags {
  /** UUID of its gateway. */
  readonly gateway?: string;
}

/** Flags of a gateway. */
export interface GatewayFlags extends RecordFlags {
  readonly wssPort?: string;
  readonly cpu?: string;
  readonly memory?: string;
  readonly storage?: string;
  readonly bandwidth?: string;
  readonly connections?: string;
}

/** The source of files, and the default region. */
export interface FieldSources {
  readonly terminal: Pick<Terminal, "readText">;
  readonly region: string;
}

/** Placeholders, during validation, for values that the registry and the client add. */
const ANY_ID = "00000000-0000-4000-8000-000000000001";
const ANY_OWNER = { process: 1, sequence: 1 };

/**
 * Returns the agent described by file and flags.
 *
 * @throws RegistryError `invalid_argument` with the field.
 */
export function agentFields(flags: AgentFlags, sources: FieldSources): AgentInput {
  const base = agentFromJson(jsonOf(flags, sources));
  const fields = {
    ...base,
    ...commonFields(flags, base.labels),
    ...given("gatewayId", flags.gateway),
  };
  validateAgent(agentToStored({ id: ANY_ID, ...fields }, ANY_OWNER));
  return fields;
}

/** Returns the gateway described by file and flags. @throws as {@link agentFields}. */
export function gatewayFields(flags: GatewayFlags, sources: FieldSources): GatewayInput {
  const base = gatewayFromJson(jsonOf(flags, sources));
  const capacity: Partial<Capacity> = {
    ...base.capacity,
    ...given("cpu", quantity("cpu", flags.cpu)),
    ...given("memoryMiB", quantity("memory", flags.memory)),
    ...given("storageMiB", quantity("storage", flags.storage)),
    ...given("bandwidthMbps", quantity("bandwidth", flags.bandwidth)),
    ...given("connections", quantity("connections", flags.connections)),
  };
  const fields = {
    ...base,
    ...commonFields(flags, base.labels),
    ...given("wssPort", quantity("wss-port", flags.wssPort)),
    ...(Object.keys(capacity).length === 0 ? {} : { capacity }),
  };
  validateGateway(gatewayToStored({ id: ANY_ID, ...fields }, ANY_OWNER));
  return fields;
}

function commonFields(
  flags: RecordFlags,
  labels: Readonly<Record<string, string>> | undefined,
): Partial<AgentInput> {
  const ttl = { min: TTL_MS_MIN, max: TTL_MS_MAX };
  return {
    ...given("id", flags.id),
    ...given("domain", flags.domain),
    ...given("address", flags.address),
    ...given("port", quantity("port", flags.port)),
    ...given("region", flags.region),
    ...given("credentialHash", flags.credentialHash),
    ...(flags.label === undefined ? {} : { labels: { ...labels, ...labelsOf(flags.label) } }),
    ...(flags.ttl === undefined ? {} : { ttlMs: parseDuration(flags.ttl, "--ttl", ttl) }),
    ...(flags.draining === true ? { state: "draining" as const } : {}),
  };
}

/** Returns the object in the file, or an empty one, with the default region added. */
function jsonOf(flags: RecordFlags, { terminal, region }: FieldSources): unknown {
  if (flags.file === undefined) return { region };
  const text = terminal.readText(flags.file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw usageFailure(
      `Cannot use ${flags.file} as it is not JSON: ${reason}`,
      "Correct the file; examples/gateway.json is an example.",
      flags.file,
    );
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  // A value that is not an object is refused by name where the vocabulary is applied.
  return isObject ? { region, ...(value as object) } : value;
}

function labelsOf(texts: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 1) {
      throw usageFailure(
        `--label must be key=value: found ${JSON.stringify(text)}`,
        "Pass each label like this: --label zone=a.",
        "label",
      );
    }
    labels[text.slice(0, at)] = text.slice(at + 1);
  }
  return labels;
}

/** Parses the number of a flag; the registry's validation checks its bounds. */
function quantity(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}(\.\d{1,9})?$/.test(text)) {
    throw usageFailure(
      `--${name} must be a number: found ${JSON.stringify(text)}`,
      `Pass digits, for example --${name} 4.`,
      name,
    );
  }
  return Number(text);
}

function given<K extends string, V>(key: K, value: V | undefined): { [_ in K]?: V } {
  return value === undefined ? {} : { [key]: value } as { [_ in K]: V };
}
