/** The condition of each peer region as the pullers on all nodes report it, for operators. */
import type { PeerRegionEntry, PullerState } from "../../schemas/gen/wire.ts";
import { isNilUuid } from "../base/uuid.ts";
import type { PeerRegion } from "../system/regions/region_state.ts";
import { SOURCE_AGE_UNKNOWN, wireAge } from "../wire/record_source.ts";
import type { RegionAges } from "./region_ages.ts";

/** Condition of the pullers of a region. */
export type RegionCondition = Pick<
  PeerRegionEntry,
  | "replicatedAgeMs"
  | "contactAgeMs"
  | "lagEntries"
  | "lagBytes"
  | "resyncs"
  | "refused"
  | "seenClusterId"
  | "seenGeneration"
  | "pullerNode"
  | "state"
  | "error"
>;

/** States that are shown if any shard is in them, the most pressing one first. */
const PRESSING = ["refused", "connecting", "syncing"];

/**
 * Returns the condition of a region.
 *
 * @param statesOn returns the states of the pullers on a node; undefined if it has not answered.
 */
export function conditionOf(
  { settings: { name, isPaused }, pullers }: PeerRegion,
  ages: Pick<RegionAges, "ageMs">,
  statesOn: (node: number) => readonly PullerState[] | undefined,
): RegionCondition {
  const states = pullers.flatMap(({ nodeId, shard }) =>
    statesOn(nodeId)?.filter((state) => state.region === name && state.shard === shard) ?? []
  );
  const total = (of: (state: PullerState) => number) =>
    states.reduce((sum, state) => sum + of(state), 0);
  const seen = states.find(({ seenClusterId }) => !isNilUuid(seenClusterId));
  return {
    replicatedAgeMs: wireAge(ages.ageMs(name)),
    contactAgeMs: Math.min(SOURCE_AGE_UNKNOWN, ...states.map(({ contactAgeMs }) => contactAgeMs)),
    lagEntries: total(({ lagEntries }) => lagEntries),
    lagBytes: total(({ lagBytes }) => lagBytes),
    resyncs: total(({ resyncs }) => resyncs),
    refused: total(({ refused }) => refused),
    seenClusterId: seen?.seenClusterId ?? new Uint8Array(16),
    seenGeneration: seen?.seenGeneration ?? 0,
    pullerNode: pullers[0]?.nodeId ?? 0,
    state: isPaused ? "paused" : phaseOf(states.map(({ state }) => state)),
    error: states.find(({ error }) => error !== "")?.error ?? "",
  };
}

function phaseOf(phases: readonly string[]): string {
  return PRESSING.find((phase) => phases.includes(phase)) ?? phases[0] ?? "unassigned";
}
