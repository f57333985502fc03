/** Facts about the registries in tests, and options for their sessions. */
import { REQUEST_FRAME_BYTES_MAX, REQUESTS_IN_FLIGHT_MAX } from "../../src/base/limits.ts";
import type { Registry } from "../../src/node/registry.ts";

/** Returns the facts of a process that just started. */
export const factsOfFreshProcess = () => ({
  sessions: 0,
  uptimeMs: 0,
  memoryBytes: 0,
  version: "test",
  ready: true,
  reason: "",
});

/** Returns the part of the options of sessions that follows from their registry. */
export function sessionPartsOf(registry: Registry, region: string) {
  return {
    facts: {
      features: 0,
      clusterId: registry.cluster.clusterId,
      nodeId: 1,
      region,
      frameBytesMax: REQUEST_FRAME_BYTES_MAX,
      requestsInFlightMax: REQUESTS_IN_FLIGHT_MAX,
    },
    ringMap: () => registry.ringMap(),
    handler: registry.router,
    replies: registry.replies,
    clock: registry.clock,
  };
}
