/**
 * The service `maps.Maps`, for AgniStack's gateways, agents and proxies: they announce themselves, and find
 * each other. Errors are part of the answers (maps_error.ts): every request that was decoded is answered
 * with the gRPC status OK.
 *
 * Where the registry's behaviour differs from that of the servers which these clients know: records end
 * with their lease, which each registration extends; a record is kept from other credentials; regions
 * count, and the gateways with the most free capacity are offered; IPv6 addresses stand in brackets before a
 * port.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { RegistryError } from "../../base/errors.ts";
import { MAPS_GATEWAYS_OFFERED } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { CallOptions, MapsClient } from "../../client/types.ts";
import type { MapsAgentInfo, MapsGatewayInfo } from "../../client/records.ts";
import { addressText } from "../../../transport/host_address.ts";
import {
  type AgentResponseSchema,
  type GatewayResponseSchema,
  Maps,
} from "../../../schemas/proto/gen/maps/maps_pb.ts";
import { type CallContext, callOptionsOf, type GrpcService, implement } from "../service.ts";
import { MAPS_CODES, mapsError } from "./maps_error.ts";
import { agentOf, domainOf, gatewayOf, regionOf } from "./maps_requests.ts";

/** Options of the service. */
export interface MapsServiceOptions {
  /** How long a record lasts after each registration, ms. */
  readonly leaseMs: number;
  readonly logger: Logger;
}

/** A gateway as answers tell of it. */
type AnsweredGateway =
  & Pick<MapsGatewayInfo, "gatewayId" | "address" | "port" | "wssPort" | "credential">
  & Pick<MapsGatewayInfo, "cpu" | "memory" | "storage" | "bandwidth">;

/** Returns the service. */
export function mapsService({ leaseMs, logger }: MapsServiceOptions): GrpcService {
  /** Returns the answer that a call on the registry gives, or one with its error. */
  const answer = async <T>(
    context: CallContext,
    call: (maps: MapsClient, options: CallOptions) => Promise<T>,
  ) => {
    try {
      return await call(context.client.maps, callOptionsOf(context));
    } catch (error) {
      const told = mapsError(error);
      if (told.code === MAPS_CODES.internal) logger.error("A call of Maps failed", { error });
      return { error: told };
    }
  };
  return implement(Maps, {
    registerGateway: (request, context) =>
      answer(context, async (maps, options) => {
        const gateway = gatewayOf(request, leaseMs);
        await maps.registerGateway(gateway, options);
        return gatewayAnswer(gateway);
      }),
    registerAgent: (request, context) =>
      answer(context, async (maps, options) => {
        const agent = agentOf(request, leaseMs);
        const gateway = await maps.getGateway(agent.gatewayId, options);
        await maps.registerAgent(agent, options);
        return agentAnswer(agent, gateway);
      }),
    resolveGatewayForAgent: (request, context) =>
      answer(context, async (maps, options) => {
        const region = regionOf(request);
        const best = { ...options, limit: MAPS_GATEWAYS_OFFERED };
        const gateways = await maps.bestGateways(region, best);
        if (gateways.length > 0) return { gateways: gateways.map(gatewayAnswer) };
        throw new RegistryError("not_found", `No gateway is registered in region ${region}`);
      }),
    resolveGatewayForProxy: (request, context) =>
      answer(context, async (maps, options) => {
        const agent = await maps.getAgent(domainOf(request), options);
        return agentAnswer(agent, await maps.getGateway(agent.gatewayId, options));
      }),
  });
}

function gatewayAnswer(gateway: AnsweredGateway): MessageInitShape<typeof GatewayResponseSchema> {
  return { ...placeOf(gateway), Identity: gateway.credential };
}

/** Returns the answer about an agent, which is reached by its gateway. */
function agentAnswer(
  { agentId, domain, credential }: Pick<MapsAgentInfo, "agentId" | "domain" | "credential">,
  gateway: AnsweredGateway,
): MessageInitShape<typeof AgentResponseSchema> {
  return { agentId, agentDomain: domain, ...placeOf(gateway), Identity: credential };
}

/** Returns where a gateway is reached, and what it can take on. */
function placeOf({ gatewayId, address, port, wssPort, ...gateway }: AnsweredGateway) {
  const { cpu, memory, storage, bandwidth } = gateway;
  return {
    gatewayId,
    gatewayIp: address,
    gatewayAddress: addressText({ hostname: address, port }),
    gatewayPort: port,
    wssPort,
    capacity: { cpu, memory, storage, bandwidth },
  };
}
