/**
 * Field names of other callers (`gateway_ip`, `wss_port`, `verifiable_cred_hash`, …), accepted
 * beside ours so that the JSON gateways send today registers unchanged (design §3). An unknown
 * field is refused by name: a silently ignored typo would register something other than intended.
 *
 * Units of the foreign fields: cpu in cores, memory and storage in MiB, bandwidth in Mbit/s, ttl in
 * seconds.
 */
import { AGENT, type AgentInput } from "./agent.ts";
import type { Field } from "./field.ts";
import { objectOf, translated, type Word } from "./field_types.ts";
import { GATEWAY, type GatewayInput } from "./gateway.ts";
import type { KindRow } from "./kind_row.ts";
import { invalid } from "./validation.ts";

/** Returns the names that a kind's fields have in JSON. */
function wordsOf({ name: kind, sharedFields, ownFields }: KindRow): ReadonlyMap<string, Word> {
  const words = new Map<string, Word>();
  const add = ({ name, type, aliases = [] }: Field) => {
    words.set(name, { name, fromJson: type.fromJson });
    for (const alias of aliases) {
      words.set(alias.name, { name, fromJson: alias.fromJson ?? type.fromJson });
    }
  };
  sharedFields.forEach(add);
  for (const { name, type, suffix } of sharedFields) {
    if (suffix !== undefined) words.set(`${kind}_${suffix}`, { name, fromJson: type.fromJson });
  }
  ownFields.forEach(add);
  return words;
}

/**
 * Returns the fields of a record of one kind, from parsed JSON with our names or foreign ones.
 *
 * @throws RegistryError `invalid_argument` with the field.
 */
export function recordFromJson(row: KindRow, json: unknown): Record<string, unknown> {
  const ours = translated(objectOf(json, row.name), wordsOf(row));
  if (ours.region === undefined) throw invalid("region", "be given", "nothing");
  return ours;
}

/**
 * Returns a gateway from parsed JSON with our field names or foreign ones.
 *
 * @throws RegistryError `invalid_argument` with the field.
 */
export function gatewayFromJson(json: unknown): GatewayInput {
  return recordFromJson(GATEWAY, json) as unknown as GatewayInput;
}

/** Returns an agent from parsed JSON; accepts and throws the same as {@link gatewayFromJson}. */
export function agentFromJson(json: unknown): AgentInput {
  return recordFromJson(AGENT, json) as unknown as AgentInput;
}
