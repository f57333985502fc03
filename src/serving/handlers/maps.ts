/** Handlers of the operations on records of the Maps protocol. */
import {
  KIND_MAPS_AGENT,
  KIND_MAPS_ENDPOINT,
  KIND_MAPS_GATEWAY,
  KIND_MAPS_SEEDER,
} from "../../record/key.ts";
import type { MAPS_OPERATIONS } from "../../wire/operations/maps.ts";
import type { Handlers } from "../handler.ts";
import type { RecordPaths } from "./records.ts";

/** Returns the handlers of the operations on records of the Maps protocol. */
export function mapsHandlers(
  { reads, lists, writes }: Omit<RecordPaths, "renewals">,
): Handlers<typeof MAPS_OPERATIONS> {
  return {
    registerMapsGateway: {
      fromView: (request, context) => writes.register(KIND_MAPS_GATEWAY, request, context),
    },
    registerMapsAgent: {
      fromView: (request, context) => writes.register(KIND_MAPS_AGENT, request, context),
    },
    registerMapsEndpoint: {
      fromView: (request, context) => writes.register(KIND_MAPS_ENDPOINT, request, context),
    },
    getMapsGateway: {
      inPlace: (request, out, { peer }, permits) =>
        reads.get(KIND_MAPS_GATEWAY, request, out, peer, permits),
    },
    getMapsAgent: {
      inPlace: (request, out, { peer }, permits) =>
        reads.get(KIND_MAPS_AGENT, request, out, peer, permits),
    },
    bestMapsGateways: {
      inSteps: (request, writer, peer) =>
        lists.resolveGateways(KIND_MAPS_GATEWAY, request, writer, peer),
    },
    listMapsGateways: {
      inSteps: (request, writer, peer) => lists.list(KIND_MAPS_GATEWAY, request, writer, peer),
    },
    listMapsAgents: {
      inSteps: (request, writer, peer) => lists.list(KIND_MAPS_AGENT, request, writer, peer),
    },
    registerMapsSeeder: {
      fromView: (request, context) => writes.register(KIND_MAPS_SEEDER, request, context),
    },
    listMapsSeeders: {
      inSteps: (request, writer, peer) => lists.list(KIND_MAPS_SEEDER, request, writer, peer),
    },
  };
}
