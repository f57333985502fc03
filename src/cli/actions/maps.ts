/** Implements `crs maps …`: gateways and agents of the Maps protocol. */
import { allPages } from "../../client/calls/list.ts";
import { MAPS_REGION_DEFAULT } from "../../client/maps_ids.ts";
import {
  mapsAgentsReply,
  mapsGatewaysReply,
  mapsRemovedReply,
  mapsResolvedReply,
} from "../maps_view.ts";
import { type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";

/** Flags of a list. */
export interface MapsListFlags extends ServerOptions {
  readonly region?: string;
}

/** Implements `crs maps gateways`. */
export async function listGateways(flags: MapsListFlags, shell: Shell): Promise<number> {
  const { region = MAPS_REGION_DEFAULT } = flags;
  const listed = await withClient(
    shell,
    flags,
    ({ client: { maps } }) =>
      Array.fromAsync(allPages((page) => maps.listGateways(region, page), {})),
  );
  return await showReply(mapsGatewaysReply(region, listed), flags, shell.terminal);
}

/** Implements `crs maps agents`. */
export async function listAgents(flags: MapsListFlags, shell: Shell): Promise<number> {
  const { region = MAPS_REGION_DEFAULT } = flags;
  const listed = await withClient(
    shell,
    flags,
    ({ client: { maps } }) =>
      Array.fromAsync(allPages((page) => maps.listAgents(region, page), {})),
  );
  return await showReply(mapsAgentsReply(region, listed), flags, shell.terminal);
}

/** Implements `crs maps resolve`. */
export async function resolve(domain: string, flags: ServerOptions, shell: Shell): Promise<number> {
  const reply = await withClient(shell, flags, async ({ client: { maps } }) => {
    const agent = await maps.getAgent(domain);
    return mapsResolvedReply(agent, await maps.getGateway(agent.gatewayId));
  });
  return await showReply(reply, flags, shell.terminal);
}

/** Implements `crs maps remove-agent`. */
export async function removeAgent(
  domain: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  await withClient(shell, flags, ({ client }) => client.maps.removeAgent(domain));
  return await showReply(mapsRemovedReply("agent", domain), flags, shell.terminal);
}

/** Implements `crs maps remove-gateway`. */
export async function removeGateway(
  gatewayId: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  await withClient(shell, flags, ({ client }) => client.maps.removeGateway(gatewayId));
  return await showReply(mapsRemovedReply("gateway", gatewayId), flags, shell.terminal);
}
