/** Code shared by the gateway and agent commands: flags, the default region, and limited lists. */
import { LIST_ITEMS_MAX } from "../../base/limits.ts";
import type { Listed } from "../../answers/record_json.ts";
import type { CallOptions, ListOptions, Page, Receipt } from "../../client/mod.ts";
import { usageFailure } from "../failure.ts";
import { parseCursor } from "../record_list.ts";
import type { Connected, ServerOptions } from "../shell.ts";

/** Flags of a command on a record that may belong to another region. */
export interface HomeFlags extends ServerOptions {
  /** Whether the command goes to the region that the record belongs to. */
  readonly home?: boolean;
}

/** Flags of a registration. */
export interface RegisterFlags extends HomeFlags {
  /** False with `--no-take-over`. */
  readonly takeOver: boolean;
}

/** Flags of a registration whose lease is kept. */
export type KeepFlags = RegisterFlags;

/** Flags of a get or a resolution. */
export interface ReadFlags extends HomeFlags {
  /** The region whose record is wanted. */
  readonly region?: string;
}

/** Returns the options of a read of the region that the flags name. */
export function askedRegion({ region, ...flags }: ReadFlags): Pick<CallOptions, "region" | "home"> {
  return { ...(region === undefined ? {} : { region }), ...homeOf(flags) };
}

/** Returns the option of a call that goes to the home of its record, if the flags say so. */
export function homeOf({ home }: HomeFlags): Pick<CallOptions, "home"> {
  return home === true ? { home } : {};
}

/** Flags of a list. */
export interface ListFlags extends ServerOptions {
  readonly region?: string;
  readonly limit?: string;
  /** Cursor at which another list stopped. */
  readonly cursor?: string;
  /** Whether to show all columns. */
  readonly wide?: boolean;
  /** Whether gateways are listed by their free capacity. */
  readonly free?: boolean;
}

/** Flags of a change of state. */
export interface DrainFlags extends HomeFlags {
  readonly off?: boolean;
}

/** Flags of a deregistration. */
export interface DeregisterFlags extends HomeFlags {
  readonly withAgents?: boolean;
}

/** Returns the named region, or else that of the node. */
export async function regionOf(
  named: string | undefined,
  { client, region }: Connected,
): Promise<string> {
  return named ?? region ?? (await client.nodeStatus()).region;
}

/** Returns the maximum number of records to list; `undefined` for all. */
function limitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const limit = Number(text);
  if (!/^\d{1,9}$/.test(text) || limit < 1) {
    throw usageFailure(
      `--limit must be an integer of at least 1: found ${JSON.stringify(text)}`,
      "Omit it to list all.",
      "limit",
    );
  }
  return limit;
}

/**
 * Checks the flags of a list before any request is sent.
 *
 * @throws CliFailure `invalid_argument`.
 */
export function checkListFlags(flags: ListFlags): void {
  limitOf(flags.limit);
  parseCursor(flags.cursor);
  if (flags.free !== true || flags.cursor === undefined) return;
  throw usageFailure(
    "--cursor cannot continue a list ordered by free capacity: the order changes with each report",
    "Omit --free, or pass a larger --limit.",
    "cursor",
  );
}

/** Fetches the pages of a list from `cursor`, until there are `limit` items or no more. */
export async function gather<T>(
  fetch: (options: ListOptions) => Promise<Page<T>>,
  { limit = Infinity, cursor }: { readonly limit?: number; readonly cursor?: Uint8Array },
): Promise<Listed<T>> {
  const items: T[] = [];
  const receipts: Receipt[] = [];
  let nextCursor = cursor;
  do {
    const page: Page<T> = await fetch({
      limit: Math.min(limit - items.length, LIST_ITEMS_MAX),
      ...(nextCursor === undefined ? {} : { cursor: nextCursor }),
    });
    for (const item of page.items) items.push(item);
    for (const receipt of page.receipts) receipts.push(receipt);
    ({ nextCursor } = page);
  } while (nextCursor !== undefined && items.length < limit);
  return { items, nextCursor, receipts };
}

/** Returns the query and the view of a list, from its flags. */
export async function listPlan(
  flags: ListFlags,
  connected: Connected,
) {
  const limit = limitOf(flags.limit);
  const cursor = parseCursor(flags.cursor);
  const region = await regionOf(flags.region, connected);
  const range = {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  return { region, range, view: { region, wide: flags.wide === true } };
}
