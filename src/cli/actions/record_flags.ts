/**
 * What gateways and agents have in common on the command line: flags, the region that stands in for
 * a missing one, and lists with a limit.
 */
import { usageFailure } from "../failure.ts";
import type { Connected, ServerOptions } from "../shell.ts";

/** Flags of a registration. */
export interface RegisterFlags extends ServerOptions {
  /** False by `--no-take-over`. */
  readonly takeOver: boolean;
}

/** Flags of a registration that is kept. */
export type KeepFlags = RegisterFlags;

/** Flags of a list. */
export interface ListFlags extends ServerOptions {
  readonly region?: string;
  readonly limit?: string;
}

/** Flags of a change of state. */
export interface DrainFlags extends ServerOptions {
  readonly off?: boolean;
}

/** Flags of a deregistration. */
export interface DeregisterFlags extends ServerOptions {
  readonly withAgents?: boolean;
}

/** The region that is meant: the one that was named, else that of the node. */
export async function regionOf(
  named: string | undefined,
  { client, region }: Connected,
): Promise<string> {
  return named ?? region ?? (await client.nodeStatus()).region;
}

/** The most records to list; `undefined`: all. */
export function limitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const limit = Number(text);
  if (!/^\d{1,9}$/.test(text) || limit < 1) {
    throw usageFailure(
      `--limit must be an integer of at least 1: found ${JSON.stringify(text)}`,
      "Leave it out to list all.",
      "limit",
    );
  }
  return limit;
}

/** The first `limit` items, or all of them. */
export async function take<T>(
  items: AsyncIterable<T>,
  limit: number | undefined,
): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === limit) break;
  }
  return taken;
}
