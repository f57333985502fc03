/** Opens the identity of a node that proves itself by certificates. */
import { RegistryError } from "../base/errors.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";
import {
  ServerCertificates,
  type ServerCertificatesOptions,
} from "../../identity/trust/server_certificates.ts";
import { namesOf } from "../../identity/trust/server_signing.ts";
import { IdentityAuthority } from "../serving/identities/identity_authority.ts";
import {
  CertifiedNodeIdentity,
  type CertifiedNodeOptions,
  type MemberNodeOptions,
  type SoleNodeOptions,
} from "./certified_node_identity.ts";
import { NodeCertificate } from "./node_certificate.ts";
import type { NodeIdentity } from "./node_identity.ts";

/**
 * Opens the identity of a node that is alone, whose registry is open.
 *
 * @throws RegistryError `invalid_configuration` if the folder cannot be used.
 */
export async function openCertifiedIdentity(options: SoleNodeOptions): Promise<NodeIdentity> {
  const { world, registry, data, hosts, acceptClockSetBack } = options;
  const authority = await openAuthority(options);
  await registry.identities.group.current();
  await authority.learn(registry.identities.group.state, acceptClockSetBack);
  authority.checkSigners();
  const certificates = await openServerCertificates(options, {
    sign: (order) => authority.signServer(order, world.entropy),
    issuers: () => authority.held.map(({ certificate }) => certificate.der),
  });
  const certificate = new NodeCertificate(data, world);
  const member = { ...options, hosts, certificate, bans: registry.bans, members: () => [] };
  const identity = new CertifiedNodeIdentity(member, authority, certificates);
  identity.attach(registry, options.nodeId);
  return identity;
}

/**
 * Opens the identity of a node of several from its data folder, before its registry is open; a
 * certificate that has ended is replaced first. The identity must be attached to the registry.
 *
 * @throws RegistryError `invalid_configuration` if the authority folder cannot be used; the failure to
 * get a certificate.
 */
export async function openMemberIdentity(
  options: MemberNodeOptions,
  onError: (stage: string, error: unknown) => void,
): Promise<NodeIdentity> {
  const { certificate, world, members } = options;
  const authority = options.authority === "" ? undefined : await openAuthority(options);
  if (certificate.notAfterMs > world.wall.unixMs()) await certificate.load();
  else if (authority !== undefined) await certificate.bridge(authority);
  else await certificate.renewFromMembers(members(), onError);
  const names = [...options.hosts];
  const certificates = await openServerCertificates(options, {
    sign: (order) =>
      authority?.signServer(order, world.entropy) ??
        options.sign({
          publicKey: order.publicKey,
          names,
          notBeforeMs: Math.floor(order.notBeforeMs),
        }),
    issuers: () => [
      ...certificate.trust.intermediates.map(({ der }) => der),
      ...authority?.held.map((held) => held.certificate.der) ?? [],
    ],
  });
  return new CertifiedNodeIdentity(options, authority, certificates);
}

/** Opens the authority folder of a node. @throws RegistryError `invalid_configuration`. */
export async function openAuthority(
  { authority: folder, region, world }: CertifiedNodeOptions,
): Promise<IdentityAuthority> {
  const authority = await IdentityAuthority.open(folder, world.wall);
  if (authority.region === region) return authority;
  throw new RegistryError(
    "invalid_configuration",
    `region must be that of the authority folder, ${authority.region}: found ${region}`,
    { field: "region" },
  );
}

async function openServerCertificates(
  { data, hosts, world }: CertifiedNodeOptions,
  signing: Pick<ServerCertificatesOptions, "sign" | "issuers">,
): Promise<ServerCertificates> {
  const folder = identityFolder(data);
  return await ServerCertificates.open({ folder, names: namesOf(hosts), ...signing, ...world });
}
