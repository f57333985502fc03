/** Implements `crs agent …`: each command makes one client call and shows its answer. */
import { isUuidText } from "../../base/uuid.ts";
import type { ListOptions } from "../../client/mod.ts";
import { usageFailure } from "../failure.ts";
import { agentFields, type AgentFlags } from "../record_fields.ts";
import {
  agentReply,
  deregisteredReply,
  drainedReply,
  registeredReply,
  resolvedReply,
} from "../record_view.ts";
import { agentsReply } from "../record_list.ts";
import { writerOf } from "../writer.ts";
import { type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { keepLease } from "./keep_lease.ts";
import {
  checkListFlags,
  type DrainFlags,
  gather,
  type KeepFlags,
  type ListFlags,
  listPlan,
  regionOf,
  type RegisterFlags,
} from "./record_flags.ts";

/** Implements `crs agent register`. */
export async function register(flags: AgentFlags & RegisterFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const reply = await withClient(shell, flags, async (connected) => {
    const region = await regionOf(flags.region, connected);
    const fields = agentFields(flags, { terminal, region });
    const { client } = connected;
    const registered = await client.registerAgent(fields, { takeOver: flags.takeOver });
    return registeredReply("agent", registered);
  });
  return await showReply(reply, flags, terminal);
}

/** Implements `crs agent keep`. */
export async function keep(flags: AgentFlags & KeepFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  return await keepLease(flags, shell, async (connected, options) => {
    const region = await regionOf(flags.region, connected);
    const fields = agentFields(flags, { terminal, region });
    return await connected.client.keepAgent(fields, { ...options, takeOver: flags.takeOver });
  });
}

/** Implements `crs agent resolve`. */
export async function resolve(domain: string, flags: ServerOptions, shell: Shell): Promise<number> {
  const resolved = await withClient(shell, flags, ({ client }) => client.resolveAgent(domain));
  return await showReply(resolvedReply(resolved), flags, shell.terminal);
}

/** Implements `crs agent get`. */
export async function get(id: string, flags: ServerOptions, shell: Shell): Promise<number> {
  checkId(id);
  const reply = await withClient(shell, flags, async ({ client }) => {
    const answer = await client.getAgent(id);
    return agentReply(answer, await writerOf(client, answer.agent.writer));
  });
  return await showReply(reply, flags, shell.terminal);
}

/** Implements `crs agent list`. */
export async function list(flags: ListFlags, shell: Shell): Promise<number> {
  checkListFlags(flags);
  const { terminal } = shell;
  const reply = await withClient(shell, flags, async (connected) => {
    const { region, range, view } = await listPlan(flags, connected, terminal);
    const fetch = (options: ListOptions) => connected.client.listAgents(region, options);
    return agentsReply(await gather(fetch, range), view);
  });
  return await showReply(reply, flags, terminal);
}

/** Implements `crs agent drain`. */
export async function drain(id: string, flags: DrainFlags, shell: Shell): Promise<number> {
  checkId(id);
  const draining = flags.off !== true;
  const reported = await withClient(
    shell,
    flags,
    ({ client }) => client.reportAgent(id, { draining }),
  );
  return await showReply(drainedReply("agent", id, draining, reported), flags, shell.terminal);
}

/** Implements `crs agent deregister`. */
export async function deregister(id: string, flags: ServerOptions, shell: Shell): Promise<number> {
  checkId(id);
  const answer = await withClient(shell, flags, ({ client }) => client.deregisterAgent(id));
  return await showReply(deregisteredReply("agent", id, answer), flags, shell.terminal);
}

/** Checks an id. Passing a domain instead is the most likely mistake, so it gets its own advice. */
function checkId(id: string): void {
  if (isUuidText(id)) return;
  throw usageFailure(
    `<id> must be a UUID: found ${JSON.stringify(id.slice(0, 64))}`,
    "Find the id of a domain by `crs agent resolve <domain>`, or list agents by `crs agent list`.",
    "id",
  );
}
