/** Handlers of the operations on peer regions, and between regions. */
import type { REGION_OPERATIONS } from "../../wire/operations/regions.ts";
import type { Handlers } from "../handler.ts";
import type { RegionAdministration } from "../regions/region_administration.ts";
import type { RegionAnswers } from "../regions/region_answers.ts";
import type { RegionServers } from "../regions/region_servers.ts";

/** Services of the handlers. */
export interface RegionServices {
  readonly regions: RegionAdministration;
  readonly answers: RegionAnswers;
  readonly servers: RegionServers;
}

/** The operations that have handlers elsewhere: a watch, and a read of the governed plane. */
type ElsewhereHandled = "regionFeed" | "regionGovernedLog";

/** Returns the handlers of the other operations on peer regions. */
export function regionHandlers(
  { regions, answers, servers }: RegionServices,
): Omit<Handlers<typeof REGION_OPERATIONS>, ElsewhereHandled> {
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
    regionStatus: (request, { peer }) => answers.status(request, peer),
    regionServers: ({ name }) => Promise.resolve(servers.of(name)),
    acceptGeneration: async (request, { peer, deadlineMs }) => {
      await regions.accept(request, peer, deadlineMs);
      return {};
    },
  };
}
