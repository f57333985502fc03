/** All routes of the governed plane. */
import { GovernedEvents } from "../governed/governed_events.ts";
import type { GovernedSource } from "../../faces/governed_source.ts";
import type { HttpMetrics } from "../metrics.ts";
import type { HttpRoute } from "../route.ts";
import { descriptorRoutes } from "./descriptors.ts";
import { governedEventsRoute } from "./governed_events.ts";
import { proofRoutes } from "./proofs.ts";
import { proposalRoutes } from "./proposals.ts";

/** Returns these routes, and adds their metrics. @param readCache as for {@link descriptorRoutes}. */
export function governedRoutes(
  source: GovernedSource,
  metrics: HttpMetrics,
  readCache: number | undefined,
): readonly HttpRoute[] {
  const events = new GovernedEvents(source);
  metrics.addDescriptors(() => descriptorCounts(source));
  return [
    ...descriptorRoutes(source, readCache),
    ...proposalRoutes({ source, events, metrics }),
    ...proofRoutes(source),
    governedEventsRoute(source, events),
  ];
}

function descriptorCounts({ log }: GovernedSource): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const id of log?.ids ?? []) {
    const state = log!.stateOf(log!.headOf(id)!);
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  return counts;
}
