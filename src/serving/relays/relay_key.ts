/** Ids of relays and agents as they are named, and the check that a record is of the whole name. */
import { createHash } from "node:crypto";
import type { PlacementView, RelayView } from "../../../schemas/gen/record.ts";
import { RegistryError } from "../../base/errors.ts";
import { RELAY_ID_BYTES_MAX } from "../../base/limits.ts";
import { idOfForeignKey } from "../../record/derived_id.ts";
import { KIND_PLACEMENT, KIND_RELAY } from "../../record/key.ts";
import { isText } from "../../record/validation.ts";
import type { PartitionStore } from "../../store/store.ts";
import type { Partition } from "../partitions.ts";

/** Returns the id of a name, 16 bytes. @throws RegistryError `invalid_argument` for none, or a long one. */
export function idOfName(name: string, field: "agentId" | "relayId"): Uint8Array {
  if (name.length > 0 && isText(name, RELAY_ID_BYTES_MAX)) {
    return idOfForeignKey([name], (bytes) => createHash("sha256").update(bytes).digest());
  }
  throw new RegistryError(
    "invalid_argument",
    `${field} must be text of 1 to ${RELAY_ID_BYTES_MAX} bytes: it is not`,
    { field },
  );
}

/** Returns the slot of a live relay; -1 if there is none of that name. @param id of the name. */
export function slotOfRelay({ store }: Partition, id: Uint8Array, name: string): number {
  const slot = store.find(KIND_RELAY, id, 0, id.length);
  return slot === -1 || relayAt(store, slot).relayId === name ? slot : -1;
}

/** Returns the slot of a live placement; -1 if there is none of an agent of that name. */
export function slotOfPlacement({ store }: Partition, id: Uint8Array, name: string): number {
  const slot = store.find(KIND_PLACEMENT, id, 0, id.length);
  return slot === -1 || placementAt(store, slot).agentId === name ? slot : -1;
}

/** Returns the shared view on a relay, valid until the store is used again. */
export function relayAt(store: PartitionStore, slot: number): RelayView {
  return store.recordView(slot) as RelayView;
}

/** Returns the shared view on a placement, valid until the store is used again. */
export function placementAt(store: PartitionStore, slot: number): PlacementView {
  return store.recordView(slot) as PlacementView;
}

/** Returns the refusal of a request that needs a live relay or agent. */
export function notRegistered(what: "relay" | "agent", name: string): RegistryError {
  return new RegistryError("not_found", `The ${what} ${JSON.stringify(name)} is not registered`);
}
