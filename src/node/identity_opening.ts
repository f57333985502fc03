/** Chooses and opens the identity of a node that starts, as its settings and its data folder say. */
import { defined } from "../base/assert.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { RequestOf } from "../wire/operations/mod.ts";
import type { BanList } from "../../identity/trust/ban_list.ts";
import { dialedHosts } from "../../identity/trust/listen_rule.ts";
import type { SignedServer } from "../../identity/trust/server_signing.ts";
import { parsePin } from "../../identity/pki/certificate.ts";
import type { CertifiedNodeOptions } from "./certified_node_identity.ts";
import { openAuthority, openMemberIdentity } from "./certified_opening.ts";
import { type NodeConfig, parseEndpoint } from "./config.ts";
import { type DialedMember, NodeCertificate } from "./node_certificate.ts";
import type { NodeCluster } from "./node_cluster.ts";
import { enrol, signOverSession } from "./node_enrolment.ts";
import { type NodeIdentity, openDevelopmentIdentity } from "./node_identity.ts";
import type { Registry } from "./registry.ts";

/** The parts of a node that its identity needs. */
export interface IdentityOpening {
  readonly config: NodeConfig;
  /** Undefined for a node that is alone. */
  readonly cluster: NodeCluster | undefined;
  readonly bans: BanList;
  readonly world: World;
  readonly logger: Logger;
  readonly onError: (stage: string, error: unknown) => void;
  readonly signal: AbortSignal | undefined;
  /** Returns the registry once it is open. */
  readonly registry: () => Registry | undefined;
}

/** Returns the settings of a certified identity. */
export function certifiedOptions(
  { config, world, logger }: Pick<IdentityOpening, "config" | "world" | "logger">,
): CertifiedNodeOptions {
  return { ...config, hosts: dialedHosts(config.host, config.advertise), world, logger };
}

/**
 * Opens the identity that a node has before its registry; a node that joins a cluster with identities is
 * enrolled first.
 *
 * @returns undefined for a node that has an authority and is alone: its signing state is in its registry.
 * @throws RegistryError `invalid_configuration`, `corrupt`, `storage_unavailable`; the refusal of the
 * cluster, or the failure to reach it.
 */
export async function openIdentity(opening: IdentityOpening): Promise<NodeIdentity | undefined> {
  const { config, cluster, bans, world, onError } = opening;
  const { authority, data, join, nodeCa, region, token } = config;
  const certificate = new NodeCertificate(data, world);
  const joins = cluster !== undefined && !cluster.isMember && join !== "";
  const isEnrolled = cluster !== undefined && certificate.exists;
  if (authority === "" && token === "" && !isEnrolled) {
    return await openDevelopmentIdentity({ data, nodeCa, region, world });
  }
  if (cluster === undefined || !(joins || cluster.hasOthers || authority === "")) {
    // Checked before the registry founds a cluster that would not fit.
    await openAuthority(certifiedOptions(opening));
    return undefined;
  }
  const members = () => knownMembers(cluster, config);
  if (joins) {
    const [first] = members();
    const { endpoint, pins } = defined(first, "The settings name the node to join");
    await enrol({ ...opening, folderId: cluster.folderId, certificate, endpoint, pins });
  }
  return await openMemberIdentity({
    ...certifiedOptions(opening),
    certificate,
    bans,
    members,
    sign: (order) => sign(order, certificate, opening),
  }, onError);
}

/** The other members as far as the data folder tells; before that, the node to join. */
function knownMembers(cluster: NodeCluster, { join, pin }: NodeConfig): readonly DialedMember[] {
  const { others } = cluster;
  const endpoint = parseEndpoint(join);
  if (others.length > 0 || endpoint === undefined) return others;
  return [{ endpoint, pins: [parsePin(pin)] }];
}

/** Has a TLS certificate signed: by a node with the keys, or before this node has sessions, by asking. */
async function sign(
  order: RequestOf<"signServer">,
  certificate: NodeCertificate,
  { config, cluster, world, onError, registry }: IdentityOpening,
): Promise<SignedServer> {
  const open = registry();
  if (open !== undefined) return await open.identities.group.askKeyHolder("signServer", order);
  const members = knownMembers(defined(cluster, "A member has a cluster"), config);
  return await signOverSession(order, members, { certificate, world, onError });
}
