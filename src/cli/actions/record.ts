/**
 * Implements the commands of every kind of record (`crs agent …`, `crs gateway …`): each makes one
 * client call and shows its answer.
 */
import { type CommandKind, RECORD_CALLS } from "../../answers/record_calls.ts";
import { writerOf } from "../../answers/writer.ts";
import type { Client } from "../../client/mod.ts";
import type { InputOf } from "../../record/kinds.ts";
import { recordFields, type RecordFlags } from "../record_fields.ts";
import { recordsReply } from "../record_list.ts";
import { deregisteredReply, drainedReply, recordReply, registeredReply } from "../record_view.ts";
import { type Shell, showReply, withClient } from "../shell.ts";
import { keepLease } from "./keep_lease.ts";
import {
  askedRegion,
  checkListFlags,
  type DeregisterFlags,
  type DrainFlags,
  gather,
  homeOf,
  type KeepFlags,
  type ListFlags,
  listPlan,
  type ReadFlags,
  regionOf,
  type RegisterFlags,
} from "./record_flags.ts";

/** The calls on one kind; the fields of a record are of the same kind as its calls. */
type Calls = (typeof RECORD_CALLS)["agent"];

function callsOf(kind: CommandKind): Calls {
  return RECORD_CALLS[kind] as unknown as Calls;
}

/** Implements `register`. */
export async function register(
  kind: CommandKind,
  flags: RecordFlags & RegisterFlags,
  shell: Shell,
): Promise<number> {
  const { terminal } = shell;
  const reply = await withClient(shell, flags, async (connected) => {
    const region = await regionOf(flags.region, connected);
    const fields = recordFields(kind, flags, { terminal, region }) as InputOf<"agent">;
    const options = { takeOver: flags.takeOver, ...homeOf(flags) };
    return registeredReply(kind, await callsOf(kind).register(connected.client, fields, options));
  });
  return await showReply(reply, flags, terminal);
}

/** Implements `keep`. */
export async function keep(
  kind: CommandKind,
  flags: RecordFlags & KeepFlags,
  shell: Shell,
): Promise<number> {
  const { terminal } = shell;
  return await keepLease(flags, shell, async (connected, options) => {
    const region = await regionOf(flags.region, connected);
    const fields = recordFields(kind, flags, { terminal, region }) as InputOf<"agent">;
    const { takeOver } = flags;
    return await callsOf(kind).keep(connected.client, fields, {
      ...options,
      takeOver,
      ...homeOf(flags),
    });
  });
}

/** Implements `get`. */
export async function get(
  kind: CommandKind,
  id: string,
  flags: ReadFlags,
  shell: Shell,
): Promise<number> {
  const reply = await withClient(shell, flags, async ({ client }) => {
    const { record, ...answer } = await callsOf(kind).get(client, id, askedRegion(flags));
    // Of a record of another region the writer is a number of that region.
    const isOwn = answer.source === undefined && flags.home !== true;
    const writer = isOwn ? await writerOf(client, record.writer) : undefined;
    return recordReply(kind, { record, ...answer }, writer);
  });
  return await showReply(reply, flags, shell.terminal);
}

/** Fetches the records of a list; other than {@link gather} only for a list in another order. */
export type Fetch = (client: Client, region: string, limit: number | undefined) => ReturnType<
  typeof gather<Awaited<ReturnType<Calls["list"]>>["items"][number]>
>;

/** Implements `list`; `fetch` replaces the list by id. */
export async function list(
  kind: CommandKind,
  flags: ListFlags,
  shell: Shell,
  fetch?: Fetch,
): Promise<number> {
  checkListFlags(flags);
  const reply = await withClient(shell, flags, async (connected) => {
    const { client } = connected;
    const { region, range, view } = await listPlan(flags, connected);
    const listed = fetch === undefined
      ? await gather((options) => callsOf(kind).list(client, region, options), range)
      : await fetch(client, region, range.limit);
    return recordsReply(kind, listed, view);
  });
  return await showReply(reply, flags, shell.terminal);
}

/** Implements `drain`. */
export async function drain(
  kind: CommandKind,
  id: string,
  flags: DrainFlags,
  shell: Shell,
): Promise<number> {
  const draining = flags.off !== true;
  const reported = await withClient(
    shell,
    flags,
    ({ client }) => callsOf(kind).report(client, id, { draining, ...homeOf(flags) }),
  );
  return await showReply(drainedReply(kind, id, draining, reported), flags, shell.terminal);
}

/** Implements `deregister`. */
export async function deregister(
  kind: CommandKind,
  id: string,
  flags: DeregisterFlags,
  shell: Shell,
): Promise<number> {
  const withAgents = flags.withAgents === true;
  const answer = await withClient(
    shell,
    flags,
    ({ client }) => callsOf(kind).deregister(client, id, { withAgents, ...homeOf(flags) }),
  );
  return await showReply(deregisteredReply(kind, id, answer), flags, shell.terminal);
}
