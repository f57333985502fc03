/** Handlers of the operations on relays and placements. */
import type { RELAY_OPERATIONS } from "../../wire/operations/relays.ts";
import type { Handlers } from "../handler.ts";
import type { RelayReads } from "../relays/relay_reads.ts";
import type { RelayWrites } from "../relays/relay_writes.ts";

/** Returns the handlers of the operations on relays and placements. */
export function relayHandlers(
  writes: RelayWrites,
  reads: RelayReads,
): Handlers<typeof RELAY_OPERATIONS> {
  return {
    registerRelay: (request, context) => writes.registerRelay(request, context),
    heartbeatRelay: (request, context) => writes.heartbeatRelay(request, context),
    placeAgent: (request, context) => writes.placeAgent(request, context),
    heartbeatAgent: (request, context) => writes.heartbeatAgent(request, context),
    getPlacement: {
      inPlace: (request, out, { peer }, permits) => reads.placement(request, out, peer, permits),
    },
    getRelay: {
      inPlace: (request, out, { peer }, permits) => reads.relay(request, out, peer, permits),
    },
    listRelays: { inSteps: (request, writer, peer) => reads.listRelays(request, writer, peer) },
    listPlacements: {
      inSteps: (request, writer, peer) => reads.listPlacements(request, writer, peer),
    },
    findRelay: (request, context) => writes.findRelay(request, context),
  };
}
