/** Relays, and the agents placed at them, as JSON documents. */
import type { NamedList, PlacementAnswer, PlacementEntry, RelayEntry } from "../client/mod.ts";
import type { JsonDocument } from "./record_json.ts";

/** Returns the document of all relays. */
export function relaysJson({ items, receipts }: NamedList<RelayEntry>): JsonDocument {
  return { relays: items, receipts };
}

/** Returns the document of the agents of a relay. */
export function relayAgentsJson(
  relayId: string,
  { items, receipts }: NamedList<PlacementEntry>,
): JsonDocument {
  return { relayId, agents: items, receipts };
}

/** Returns the document of an agent's placement. */
export function placementJson({ receipts, ...placement }: PlacementAnswer): JsonDocument {
  return { placement, receipts };
}
