/** Implements `crs relay …`: relays, and where agents are placed. */
import { placementReply, relayAgentsReply, relaysReply } from "../relay_view.ts";
import { type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";

/** Implements `crs relay list`. */
export async function listRelays(flags: ServerOptions, shell: Shell): Promise<number> {
  const listed = await withClient(shell, flags, ({ client }) => client.relays.list());
  return await showReply(relaysReply(listed), flags, shell.terminal);
}

/** Implements `crs relay agents`. */
export async function listAgents(
  relayId: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  const listed = await withClient(shell, flags, ({ client }) => client.relays.agentsOf(relayId));
  return await showReply(relayAgentsReply(relayId, listed), flags, shell.terminal);
}

/** Implements `crs relay placement`. */
export async function showPlacement(
  agentId: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  const found = await withClient(shell, flags, ({ client }) => client.relays.placement(agentId));
  return await showReply(placementReply(found), flags, shell.terminal);
}
