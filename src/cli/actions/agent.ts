/** Implements what `crs agent` has beyond the commands of every kind of record. */
import { isUuidText } from "../../base/uuid.ts";
import { usageFailure } from "../failure.ts";
import { resolvedReply } from "../record_view.ts";
import { type Shell, showReply, withClient } from "../shell.ts";
import { askedRegion, type ReadFlags } from "./record_flags.ts";

/** Implements `crs agent resolve`. */
export async function resolve(domain: string, flags: ReadFlags, shell: Shell): Promise<number> {
  const resolved = await withClient(
    shell,
    flags,
    ({ client }) => client.resolveAgent(domain, askedRegion(flags)),
  );
  return await showReply(resolvedReply(resolved), flags, shell.terminal);
}

/** Checks an id. Passing a domain instead is the most likely mistake, so it gets its own advice. */
export function checkId(id: string): void {
  if (isUuidText(id)) return;
  throw usageFailure(
    `<id> must be a UUID: found ${JSON.stringify(id.slice(0, 64))}`,
    "Find the id of a domain by `crs agent resolve <domain>`, or list agents by `crs agent list`.",
    "id",
  );
}
