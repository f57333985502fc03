/** Creates the expiry guard of a registry, and connects it with group 0 and the lease driver. */
import type { ExpiryStatusReply, RegionExpiry } from "../../schemas/gen/wire.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import { ExpiryGuard, GuardCensus } from "../serving/expiry/expiry_guard.ts";
import { EXPIRY_SETTINGS_DEFAULT } from "../serving/expiry/expiry_settings.ts";
import { PermitDesk } from "../serving/expiry/permit_desk.ts";
import type { IdentityGroup } from "../serving/identities/identity_group.ts";
import type { GuardedExpiry } from "../serving/lease_driver.ts";
import { STALE_APPLY_VERSION } from "../record/kind_row.ts";
import type { SharedParts } from "./registry_parts.ts";

/** The expiry guard and what serves it. */
export interface ExpiryParts {
  readonly guarded: GuardedExpiry;
  readonly permits: PermitDesk;
  readonly status: () => ExpiryStatusReply;
}

/** Creates the expiry guard. */
export function expiryParts(parts: SharedParts, group: IdentityGroup): ExpiryParts {
  const { options, groups, clock, table, leaders, versions, shared } = parts;
  const { world: { scheduler, entropy }, logger, nodeId } = options;
  const { confirmMs, ...budget } = options.expiry ?? EXPIRY_SETTINGS_DEFAULT;
  const { store } = groups.system;
  const permits = new PermitDesk(group, budget);
  const isGuarding = () => store.state.versions.applyVersion >= STALE_APPLY_VERSION;
  const regionName = (region: number) => shared.regions.nameOf(region);
  const guard = new ExpiryGuard({
    ...{ table, clock, scheduler, entropy, logger, confirmMs, isGuarding, regionName },
    availableTime: groups.nodes.set.availableTime,
    current: () => group.current(),
    draw: (draw, deadlineMs) =>
      leaders.take({
        what: "permits to expire records",
        place: () => ({ isHere: true, group: group.leading }),
        here: () => permits.draw(nodeId, draw, deadlineMs),
        there: async (calls, node, timeoutMs) => {
          const body = { draw: draw.draw, items: [...draw.items] };
          return (await calls.call(node, "drawPermits", body, timeoutMs)).grants;
        },
        deadlineMs,
      }),
  });
  store.onReleased = () => guard.released();
  guard.begin();
  const raise: GuardedExpiry["raise"] = (partition, version) =>
    versions.ensure(partition, version, clock.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT);
  const status = () => ({
    ...{ ...budget, confirmMs, isGuarding: isGuarding() },
    regions: regionsOf(parts, guard, confirmMs),
  });
  return { guarded: { guard, raise }, permits, status };
}

/** Returns the regions with records in the partitions that this node leads, and what is decided about any. */
function regionsOf(
  { groups, table, shared }: SharedParts,
  guard: ExpiryGuard,
  confirmMs: number,
): RegionExpiry[] {
  const census = new GuardCensus({ nowMs: 0, confirmMs, releasedMs: Infinity });
  for (const { group, store } of table.here()) {
    if (group.isLeading) store.guarded.census(group.timeMs(), census);
  }
  const { system } = groups;
  const nowMs = system.group.timeMs();
  const { steered } = system.store.state.expiry;
  const byName = new Map(
    [...census.regions].map(([number, region]) => [shared.regions.nameOf(number), region] as const),
  );
  const names = new Set([...byName.keys(), ...steered.keys(), ...guard.permits.keys()]);
  return [...names].sort().map((region) => {
    const { live = 0, staleCount = 0, oldestStaleMs = 0 } = byName.get(region) ?? {};
    const { holdUntilMs = 0, releaseUntilMs = 0 } = steered.get(region) ?? {};
    const { granted = 0, denied = 0 } = guard.permits.get(region) ?? {};
    return {
      ...{ region, live, stale: staleCount, oldestStaleMs, granted, denied },
      holdLeftMs: Math.max(0, Math.ceil(holdUntilMs - nowMs)),
      releaseLeftMs: Math.max(0, Math.ceil(releaseUntilMs - nowMs)),
    };
  });
}
