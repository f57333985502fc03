/**
 * Enrols a node without a certificate in a cluster: it presents a join token for a node to the node that
 * it was told of, which is pinned. Its first certificate brings the number of its data folder, from which
 * the certificate's subject follows; then it proves itself and has its TLS certificates
 * signed. Each step can be repeated after a crash: the key is on disk before it is certified.
 */
import { RegistryError } from "../base/errors.ts";
import { NODE_RENEWAL_TIMEOUT_MS } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { CertificateCredentials } from "../client/credentials.ts";
import { askUnauthenticated } from "../client/unauthenticated.ts";
import type { ReplyOf, RequestOf } from "../wire/operations/mod.ts";
import { APPLY_VERSION_MAX } from "../system/versions/features.ts";
import { ensurePrivateFolder } from "../../identity/files/private_file.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";
import { bundleFromJson } from "../../identity/trust/trust_bundle_content.ts";
import { createCertificateRequest } from "../../identity/pki/certificate_request.ts";
import { encodePem } from "../../identity/pki/pem.ts";
import { handshakeServices } from "../../identity/trust/handshake_services.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { callOnce } from "./call_once.ts";
import type { NodeConfig } from "./config.ts";
import { type JoinAttempts, repeatJoin } from "./join_attempts.ts";
import type { DialedMember, NodeCertificate } from "./node_certificate.ts";

/** The dependencies of {@link enrol}. */
export interface EnrolmentOptions extends JoinAttempts {
  readonly config: NodeConfig;
  /** The random id of the data folder, 16 bytes. */
  readonly folderId: Uint8Array;
  readonly certificate: NodeCertificate;
  /** The node to ask, and its pins. */
  readonly endpoint: Endpoint;
  readonly pins: readonly Uint8Array[];
  readonly onError: (stage: string, error: unknown) => void;
}

/**
 * Gets the node's first certificate, unless its folder has one.
 *
 * @throws RegistryError as {@link repeatJoin}.
 */
export async function enrol(options: EnrolmentOptions): Promise<void> {
  const { certificate, config } = options;
  if (certificate.exists) return;
  ensurePrivateFolder(identityFolder(config.data));
  ensurePrivateFolder(certificate.folder.path);
  await repeatJoin("The node cannot be enrolled yet", () => enrolOnce(options), options);
}

async function enrolOnce(options: EnrolmentOptions): Promise<void> {
  const { certificate, config, folderId, world, endpoint, pins, onError } = options;
  const { folder } = certificate;
  const key = await folder.firstKey(world.entropy);
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError });
  try {
    const { subject, chain, bundle } = await askUnauthenticated("enrolNode", {
      nodeId: config.nodeId,
      partitionCount: config.partitions,
      applyVersionMax: APPLY_VERSION_MAX,
      folderId,
      region: config.region,
      zone: config.zone,
      host: config.machine,
      token: config.token,
      request: await createCertificateRequest(key),
    }, {
      endpoint,
      dialer,
      trust: { kind: "pins", sha256: pins },
      world,
      timeoutMs: NODE_RENEWAL_TIMEOUT_MS,
    });
    folder.create(subject);
    // The server was pinned, so the roots that it names are trusted.
    folder.keepRoots(rootsOf(bundle));
    await certificate.keep(chain, bundle);
  } finally {
    await dialer.close();
  }
}

/** Has a TLS certificate signed over a session that the node proves. @throws RegistryError */
export async function signOverSession(
  order: RequestOf<"signServer">,
  members: readonly DialedMember[],
  { certificate, world, onError }: Pick<EnrolmentOptions, "certificate" | "world" | "onError">,
): Promise<ReplyOf<"signServer">> {
  return await callOnce(
    {
      endpoints: members.map(({ endpoint }) => endpoint),
      trust: { kind: "pins", sha256: members.flatMap(({ pins }) => [...pins]) },
      dialer: new QuicDialer({ scheduler: world.scheduler, onError }),
      credentials: credentialsOf(certificate, world),
      world,
    },
    "signServer",
    order,
  );
}

/** Returns the credentials of a client that is this node. */
export function credentialsOf(
  certificate: NodeCertificate,
  { wall }: Pick<World, "wall">,
): CertificateCredentials {
  const services = handshakeServices({
    own: () => certificate.own,
    trust: () => certificate.trust,
    wall,
  });
  const own = () => ({ ...certificate.own.identity, chain: certificate.own.chain });
  return { kind: "certificate", own, services };
}

function rootsOf(bundle: string): string {
  if (bundle === "") {
    throw new RegistryError("corrupt", "The node that was asked has no trust bundle");
  }
  const { roots } = bundleFromJson((JSON.parse(bundle) as { bundle: unknown }).bundle);
  return roots.map((der) => encodePem("CERTIFICATE", der)).join("");
}
