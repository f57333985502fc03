/**
 * The commands about regions that a node of the cluster may propose. Only a puller of a region may, and only
 * about that region: it may claim a shard for itself, accept the region's first cluster, and replace the
 * bans and the trust bundle. Every other setting, and another cluster, is an operator's decision.
 */
import {
  AcceptFeedCommandView,
  AssignPullerCommandView,
  PutRegionBansCommandView,
  type PutRegionCommand,
  PutRegionCommandView,
} from "../../../schemas/gen/system.ts";
import { RegistryError } from "../../base/errors.ts";
import { REGION_KINDS } from "../../system/regions/region_codec.ts";
import type { RegionSettings, RegionState } from "../../system/regions/region_state.ts";
import { commandOf } from "../../system/system_store.ts";

/** Kinds of commands about regions that nodes propose. */
export const NODES_REGION_KINDS: readonly number[] = [
  REGION_KINDS.put,
  REGION_KINDS.acceptFeed,
  REGION_KINDS.assignPuller,
  REGION_KINDS.putBans,
];

/**
 * Checks that node `from` may propose a command. Commands that are not about regions pass.
 *
 * @throws RegistryError `permission_denied`.
 */
export function checkNodesRegionCommand(
  command: Uint8Array,
  from: number,
  regions: Pick<RegionState, "of">,
): void {
  const view = commandOf(command);
  if (!NODES_REGION_KINDS.includes(view.kind)) return;
  switch (view.kind) {
    case REGION_KINDS.assignPuller: {
      const { name, nodeId } = view.bodyInto(new AssignPullerCommandView());
      return demand(nodeId === from && isPuller(name, from, regions), name);
    }
    case REGION_KINDS.acceptFeed: {
      const { name, isFirst } = view.bodyInto(new AcceptFeedCommandView());
      return demand(isFirst && isPuller(name, from, regions), name);
    }
    case REGION_KINDS.putBans: {
      const { name } = view.bodyInto(new PutRegionBansCommandView());
      return demand(isPuller(name, from, regions), name);
    }
    default: {
      const put = view.bodyInto(new PutRegionCommandView()).toPlain();
      const settings = regions.of(put.name)?.settings;
      const isBundle = settings !== undefined && isSameButBundle(settings, put);
      return demand(isBundle && isPuller(put.name, from, regions), put.name);
    }
  }
}

function isPuller(name: string, node: number, regions: Pick<RegionState, "of">): boolean {
  return regions.of(name)?.pullers.some(({ nodeId }) => nodeId === node) === true;
}

function isSameButBundle(settings: RegionSettings, put: PutRegionCommand): boolean {
  const fields = Object.keys(settings) as (keyof RegionSettings)[];
  return fields.every((field) =>
    field === "bundle" || JSON.stringify(settings[field]) === JSON.stringify(put[field])
  );
}

function demand(isAllowed: boolean, name: string): void {
  if (isAllowed) return;
  throw new RegistryError(
    "permission_denied",
    `A node may not decide this about region ${name}: that is for its pullers, or a controller`,
  );
}
