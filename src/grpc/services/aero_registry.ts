/**
 * `aeroarc.registry.v1.AeroRegistry`: the relay registry (src/relay) for relays and gateways that speak
 * gRPC. Calls on conformance summaries are not implemented.
 *
 * Source: the published interface of Aero Arc's registry.
 */
import { AeroRegistry } from "../../../schemas/proto/gen/aeroarc/registry/v1/registry_pb.ts";
import { RegistryError } from "../../base/errors.ts";
import type { RelayRegistry } from "../../relay/relay_registry.ts";
import { type CallContext, callOptionsOf, type GrpcService, implement } from "../service.ts";
import { GrpcError } from "../status.ts";

/** Options of {@link aeroRegistryService}. */
export interface AeroRegistryOptions {
  /** Returns the relay registry as the caller may use it. @throws RegistryError if it may not. */
  readonly relaysOf: (context: CallContext) => RelayRegistry | Promise<RelayRegistry>;
  /** Whether a heartbeat of an agent may leave out its relay, as those of older relays do. */
  readonly allowsOlderRelays: boolean;
}

/** Returns the service. */
export function aeroRegistryService(options: AeroRegistryOptions): GrpcService {
  const { relaysOf, allowsOlderRelays } = options;
  return implement(AeroRegistry, {
    registerRelay: async ({ relay }, context) => {
      await (await relaysOf(context)).registerRelay(relay, callOptionsOf(context));
      return {};
    },
    heartbeatRelay: async ({ relayId }, context) => {
      await (await relaysOf(context)).heartbeatRelay(relayId, callOptionsOf(context));
      return {};
    },
    listRelays: async (_request, context) => {
      const relays = await (await relaysOf(context)).listRelays(callOptionsOf(context));
      return {
        relays: relays.map(({ relayId, address, grpcPort, lastHeartbeatUnixMs }) => (
          { relayId, address, grpcPort, lastHeartbeatUnixMs: BigInt(lastHeartbeatUnixMs) }
        )),
      };
    },
    registerAgent: async ({ relayId, agent }, context) => {
      await (await relaysOf(context)).registerAgent(
        agent?.agentId,
        relayId,
        callOptionsOf(context),
      );
      return {};
    },
    heartbeatAgent: async ({ agentId, relayId }, context) => {
      if (relayId === "" && !allowsOlderRelays) {
        throw new RegistryError(
          "invalid_argument",
          "RelayId is required: heartbeats of older relays, which have none, need --older-relays",
          { field: "relay_id" },
        );
      }
      const relays = await relaysOf(context);
      await relays.heartbeatAgent(agentId, relayId || undefined, callOptionsOf(context));
      return {};
    },
    listAgents: async (_request, context) => {
      const agents = await (await relaysOf(context)).listAgents(callOptionsOf(context));
      return {
        agents: agents.map(({ agentId, lastHeartbeatUnixMs }) => (
          { agentId, lastHeartbeatUnixMs: BigInt(lastHeartbeatUnixMs) }
        )),
      };
    },
    getAgentPlacement: async (request, context) => {
      const relays = await relaysOf(context);
      const found = await relays.placement(request.agentId, callOptionsOf(context));
      const { agentId, relayId, lastUpdatedUnixMs } = found;
      return { placement: { agentId, relayId, lastUpdatedUnixMs: BigInt(lastUpdatedUnixMs) } };
    },
    publishConformanceSummary: notServed,
    getConformanceSummary: notServed,
    batchGetConformanceSummaries: notServed,
  });
}

function notServed(): never {
  throw new GrpcError("UNIMPLEMENTED", "This registry keeps no conformance summaries");
}
