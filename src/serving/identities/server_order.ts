/**
 * Checks the TLS certificate that a node asks to have signed. Clients without a pin take a server for the one
 * that they dialed by its names, so a stolen node identity must not get those of other nodes.
 */
import { isIP } from "node:net";
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { SERVER_CERTIFICATE_LIFE_MS_MAX, SERVER_NAMES_MAX } from "../../base/limits.ts";
import { formatAddress, parseAddress } from "../../record/address.ts";
import type { Member } from "../../system/members/member_state.ts";
import type { SystemStore } from "../../system/system_store.ts";
import type { RequestOf } from "../../wire/operations/mod.ts";
import { namesOf, type ServerOrder } from "../../../identity/trust/server_signing.ts";
import { nodeSubjectId } from "../node_subject.ts";
import { invalid } from "./identity_group.ts";

/** Returns the member with that UUID; undefined if there is none in this copy of group 0. */
export function memberOf(
  subjectId: Uint8Array,
  { genesis, members }: Pick<SystemStore, "genesis" | "members">,
): Member | undefined {
  if (genesis === undefined) return undefined;
  const { clusterId } = genesis;
  return members.find(({ nodeId }) => bytesEqual(nodeSubjectId(clusterId, nodeId), subjectId));
}

/**
 * Returns the certificate to sign for a member. Names that other members publish must be among its own
 * addresses in group 0, as those of nodes on one machine are. A member that has not published any
 * address yet needs its first certificate to do so.
 *
 * @throws RegistryError `invalid_argument`; `permission_denied` for others, and for others' names.
 */
export function serverOrderOf(
  { publicKey, names, notBeforeMs }: RequestOf<"signServer">,
  own: Member | undefined,
  { members, nowMs }: { readonly members: readonly Member[]; readonly nowMs: number },
): ServerOrder {
  if (names.length > SERVER_NAMES_MAX) {
    throw invalid("names", `be at most ${SERVER_NAMES_MAX}: found ${names.length}`);
  }
  // The next certificate begins before the current one ends; a later one would outlast a removal.
  if (notBeforeMs > nowMs + SERVER_CERTIFICATE_LIFE_MS_MAX) {
    throw invalid("notBeforeMs", `be within ${SERVER_CERTIFICATE_LIFE_MS_MAX} ms from now`);
  }
  if (own === undefined) {
    throw denied("Server certificates are for the members of the cluster: this node is none");
  }
  if (own.addresses.length > 0) checkNames(names, own, members);
  return { publicKey, names: namesOf(names), notBeforeMs };
}

function checkNames(names: readonly string[], own: Member, members: readonly Member[]): void {
  for (const name of names) {
    const wanted = canonicalHost(name);
    if (hasHost(own, wanted)) continue;
    const other = members.find((member) => hasHost(member, wanted));
    if (other === undefined) continue;
    throw denied(
      `Names must be the node's own: ${name} is an address of node ${other.nodeId}, and not of ` +
        `node ${own.nodeId}. To share a machine with that node, join with an empty data folder`,
    );
  }
}

function hasHost({ addresses }: Member, wanted: string): boolean {
  return addresses.some(({ host }) => canonicalHost(host) === wanted);
}

/** Returns an IP address in its one canonical form: a certificate has its bytes, not its text. */
function canonicalHost(host: string): string {
  const isAddress = isIP(host) !== 0 && !host.includes("%");
  return isAddress ? formatAddress(parseAddress(host)) : host;
}

function denied(message: string): RegistryError {
  return new RegistryError("permission_denied", message, { field: "names" });
}
