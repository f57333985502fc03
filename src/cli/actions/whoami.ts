/** Shows the identity in use, with its rights, as the registry knows them. */
import type { ReadLimit } from "../../base/peer.ts";
import type { KnownIdentity } from "../../client/identity_types.ts";
import { type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { facts } from "../table.ts";

/** Shows the identity in use. */
export async function whoAmI(flags: ServerOptions, shell: Shell): Promise<number> {
  const known = await withClient(shell, flags, ({ client }) => client.identities.whoAmI());
  const reply = { json: known, text: () => `${known.subject}\n${facts(rowsOf(known))}` };
  return await showReply(reply, flags, shell.terminal);
}

/** Returns the lines about an identity. Rights that it does not have are left out. */
function rowsOf({ role, region, lineage, expiresAtMs, grants, scopes, front }: KnownIdentity) {
  const { domains, gateways, credentialHashes, reads } = grants;
  const rows: readonly (readonly [string, string])[] = [
    ["role", role],
    ["region", region],
    ["lineage", lineage === 0 ? "" : String(lineage)],
    ["until", expiresAtMs === null ? "" : new Date(expiresAtMs).toISOString()],
    ["domains", domains.join(", ")],
    ["gateways", gateways.join(", ")],
    ["credential hashes", credentialHashes ? "may be read" : ""],
    ...reads.map((limit) => ["reads only", limitText(limit)] as const),
    ["scopes", scopes.join(", ")],
    ["by front", front],
  ];
  return rows.filter(([, value]) => value !== "");
}

/** Returns the conditions of a limit, all of which a record must meet. */
function limitText({ regions, labels, domains }: ReadLimit): string {
  const any = (name: string, values: readonly string[]) =>
    values.length === 0 ? [] : [`${name} ${values.join(" or ")}`];
  return [
    ...any("region", regions),
    ...labels.map(({ key, value }) => `label ${key}=${value}`),
    ...any("domain", domains),
  ].join(", ");
}
