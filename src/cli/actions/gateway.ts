/** Implements `crs gateway …`: each command makes one client call and shows its answer. */
import { RESOLVE_GATEWAYS_MAX } from "../../base/limits.ts";
import type { ListOptions } from "../../client/mod.ts";
import { gatewayFields, type GatewayFlags } from "../record_fields.ts";
import { deregisteredReply, drainedReply, gatewayReply, registeredReply } from "../record_view.ts";
import { gatewaysReply } from "../record_list.ts";
import { writerOf } from "../writer.ts";
import { type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { keepLease } from "./keep_lease.ts";
import {
  checkListFlags,
  type DeregisterFlags,
  type DrainFlags,
  gather,
  type KeepFlags,
  type ListFlags,
  listPlan,
  regionOf,
  type RegisterFlags,
} from "./record_flags.ts";

/** Implements `crs gateway register`. */
export async function register(flags: GatewayFlags & RegisterFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const reply = await withClient(shell, flags, async (connected) => {
    const region = await regionOf(flags.region, connected);
    const fields = gatewayFields(flags, { terminal, region });
    const { client } = connected;
    const registered = await client.registerGateway(fields, { takeOver: flags.takeOver });
    return registeredReply("gateway", registered);
  });
  return await showReply(reply, flags, terminal);
}

/** Implements `crs gateway keep`. */
export async function keep(flags: GatewayFlags & KeepFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  return await keepLease(flags, shell, async (connected, options) => {
    const region = await regionOf(flags.region, connected);
    const fields = gatewayFields(flags, { terminal, region });
    return await connected.client.keepGateway(fields, { ...options, takeOver: flags.takeOver });
  });
}

/** Implements `crs gateway get`. */
export async function get(id: string, flags: ServerOptions, shell: Shell): Promise<number> {
  const reply = await withClient(shell, flags, async ({ client }) => {
    const answer = await client.getGateway(id);
    return gatewayReply(answer, await writerOf(client, answer.gateway.writer));
  });
  return await showReply(reply, flags, shell.terminal);
}

/** Implements `crs gateway list`. */
export async function list(
  flags: ListFlags & { readonly free?: boolean },
  shell: Shell,
): Promise<number> {
  checkListFlags(flags);
  const { terminal } = shell;
  const reply = await withClient(shell, flags, async (connected) => {
    const { client } = connected;
    const { region, range, view } = await listPlan(flags, connected, terminal);
    if (flags.free === true) {
      const limit = Math.min(range.limit ?? RESOLVE_GATEWAYS_MAX, RESOLVE_GATEWAYS_MAX);
      return gatewaysReply(await client.resolveGateways(region, { limit }), view);
    }
    const fetch = (options: ListOptions) => client.listGateways(region, options);
    return gatewaysReply(await gather(fetch, range), view);
  });
  return await showReply(reply, flags, terminal);
}

/** Implements `crs gateway drain`. */
export async function drain(id: string, flags: DrainFlags, shell: Shell): Promise<number> {
  const draining = flags.off !== true;
  const reported = await withClient(
    shell,
    flags,
    ({ client }) => client.reportGateway(id, { draining }),
  );
  return await showReply(drainedReply("gateway", id, draining, reported), flags, shell.terminal);
}

/** Implements `crs gateway deregister`. */
export async function deregister(
  id: string,
  flags: DeregisterFlags,
  shell: Shell,
): Promise<number> {
  const withAgents = flags.withAgents === true;
  const answer = await withClient(
    shell,
    flags,
    ({ client }) => client.deregisterGateway(id, { withAgents }),
  );
  return await showReply(deregisteredReply("gateway", id, answer), flags, shell.terminal);
}
