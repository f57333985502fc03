/** Replies of `crs maps …`. */
import { addressText } from "../../transport/host_address.ts";
import type {
  ListedMapsAgent,
  ListedMapsGateway,
  MapsAgentInfo,
  MapsGatewayInfo,
} from "../client/mod.ts";
import { formatDuration } from "./duration.ts";
import type { Reply } from "./shell.ts";
import { tableText } from "./table_text.ts";

/** Returns a gateway as a document. */
function gatewayJson(gateway: MapsGatewayInfo) {
  const { gatewayId, id, region, address, port, wssPort, credential, ttlMs } = gateway;
  const { cpu, memory, storage, bandwidth } = gateway;
  return {
    ...{ gatewayId, id, region, address, port, wssPort, credential, ttlMs },
    capacity: { cpu, memory, storage, bandwidth },
  };
}

/** Returns an agent as a document. */
function agentJson({ agentId, id, domain, gatewayId, region, credential, ttlMs }: MapsAgentInfo) {
  return { agentId, id, domain, gatewayId, region, credential, ttlMs };
}

/** Returns the reply with the gateways of a region. */
export function mapsGatewaysReply(region: string, listed: readonly ListedMapsGateway[]): Reply {
  return {
    json: {
      region,
      gateways: listed.map(({ gateway, remainingMs }) => ({
        ...gatewayJson(gateway),
        remainingMs,
      })),
    },
    text: (columns) =>
      tableText({
        none: `No gateway is registered in region ${region}.\n`,
        head: ["GATEWAY", "ADDRESS", "WSS", "CPU", "MEMORY", "STORAGE", "BANDWIDTH", "LEASE"],
        rows: listed.map(({ gateway, remainingMs }) => [
          ...[gateway.gatewayId, placeOf(gateway), gateway.wssPort || "", gateway.cpu],
          ...[gateway.memory, gateway.storage, gateway.bandwidth, formatDuration(remainingMs)],
        ]),
        columns,
        shrinks: [0, 1],
      }),
  };
}

/** Returns the reply with the agents of a region. */
export function mapsAgentsReply(region: string, listed: readonly ListedMapsAgent[]): Reply {
  return {
    json: {
      region,
      agents: listed.map(({ agent, remainingMs }) => ({ ...agentJson(agent), remainingMs })),
    },
    text: (columns) =>
      tableText({
        none: `No agent is registered in region ${region}.\n`,
        head: ["DOMAIN", "GATEWAY", "LEASE"],
        rows: listed.map(({ agent, remainingMs }) => [
          ...[agent.domain, agent.gatewayId, formatDuration(remainingMs)],
        ]),
        columns,
        shrinks: [0, 1],
      }),
  };
}

/** Returns the reply with an agent and its gateway. */
export function mapsResolvedReply(agent: MapsAgentInfo, gateway: MapsGatewayInfo): Reply {
  return {
    json: { agent: agentJson(agent), gateway: gatewayJson(gateway) },
    text: async () => {
      const { facts } = await import("./table.ts");
      return `Agent ${agent.domain}\n` + facts([
        ["id", agent.agentId],
        ["region", agent.region],
        ["credential", agent.credential],
        ["reached by", placeOf(gateway)],
        ["gateway", gateway.gatewayId],
        ["credential", gateway.credential],
      ]);
    },
  };
}

/** Returns the reply to a removal. */
export function mapsRemovedReply(kind: "agent" | "gateway", name: string): Reply {
  return { json: { kind, name, removed: true }, text: () => `Removed the ${kind} ${name}.\n` };
}

function placeOf({ address, port }: Pick<MapsGatewayInfo, "address" | "port">): string {
  return addressText({ hostname: address, port });
}
