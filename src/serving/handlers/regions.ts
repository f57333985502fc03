/** Handlers of the operations on peer regions. */
import type { REGION_OPERATIONS } from "../../wire/operations/regions.ts";
import type { Handlers } from "../handler.ts";
import type { RegionAdministration } from "../regions/region_administration.ts";
import type { RegionServers } from "../regions/region_servers.ts";

/** Returns the handlers of the operations on peer regions. */
export function regionHandlers(
  regions: RegionAdministration,
  servers: RegionServers,
): Handlers<typeof REGION_OPERATIONS> {
  return {
    addRegion: async (request, { peer, deadlineMs }) => {
      await regions.add(request, peer, deadlineMs);
      return {};
    },
    setRegion: async (request, { peer, deadlineMs }) => {
      await regions.set(request, peer, deadlineMs);
      return {};
    },
    removeRegion: async ({ name }, { peer, deadlineMs }) => {
      await regions.remove(name, peer, deadlineMs);
      return {};
    },
    listRegions: () => regions.list(),
    regionServers: ({ name }) => Promise.resolve(servers.of(name)),
    acceptGeneration: async (request, { peer, deadlineMs }) => {
      await regions.accept(request, peer, deadlineMs);
      return {};
    },
  };
}
