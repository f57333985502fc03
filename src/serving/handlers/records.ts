/** Handlers of the operations on records. */
import { KIND_AGENT, KIND_GATEWAY } from "../../record/key.ts";
import type { RECORD_OPERATIONS } from "../../wire/operations/records.ts";
import type { Handlers } from "../handler.ts";
import type { ListPath } from "../list_path.ts";
import type { ReadPath } from "../read_path.ts";
import type { RenewPath } from "../renew_path.ts";
import type { WritePath } from "../write_path.ts";

/** Paths by which operations on records are served. */
export interface RecordPaths {
  readonly reads: ReadPath;
  readonly lists: ListPath;
  readonly writes: WritePath;
  readonly renewals: RenewPath;
}

/** Returns the handlers of the operations on records. */
export function recordHandlers(
  { reads, lists, writes, renewals }: RecordPaths,
): Handlers<typeof RECORD_OPERATIONS> {
  return {
    getAgent: {
      inPlace: (request, out, { peer }, permits) =>
        reads.get(KIND_AGENT, request, out, peer, permits),
    },
    getGateway: {
      inPlace: (request, out, { peer }, permits) =>
        reads.get(KIND_GATEWAY, request, out, peer, permits),
    },
    resolveAgent: {
      inPlace: (request, out, { peer }, permits) => reads.resolve(request, out, peer, permits),
    },
    resolveAgents: {
      inPlace: (request, out, caller, permits) => lists.resolveMany(request, out, caller, permits),
    },
    resolveGateways: {
      inSteps: (request, writer, peer) =>
        lists.resolveGateways(KIND_GATEWAY, request, writer, peer),
    },
    listAgentsByRegion: {
      inSteps: (request, writer, peer) => lists.list(KIND_AGENT, request, writer, peer),
    },
    listGatewaysByRegion: {
      inSteps: (request, writer, peer) => lists.list(KIND_GATEWAY, request, writer, peer),
    },
    registerAgent: {
      fromView: (request, context) => writes.register(KIND_AGENT, request, context),
    },
    registerGateway: {
      fromView: (request, context) => writes.register(KIND_GATEWAY, request, context),
    },
    registerMany: (request, context) => writes.registerMany(request, context),
    renew: { fromView: (request, context) => renewals.serve(request, context) },
    deregisterAgent: (request, context) => writes.deregister(KIND_AGENT, request, context),
    deregisterGateway: (request, context) => writes.deregister(KIND_GATEWAY, request, context),
    report: (request, context) => writes.report(request, context),
    removeRecord: (request, context) => writes.removeRecord(request, context),
  };
}
