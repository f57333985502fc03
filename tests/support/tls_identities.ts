/** A root, a region's CA, a server's TLS certificate and clients' leaves, created at test time. */
import { CertificateAuthority, createRoot } from "../../identity/enrolment/authority.ts";
import { encodePem } from "../../identity/pki/pem.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { NO_GRANTS, type Role } from "../../src/base/peer.ts";
import type { TlsCertificate } from "../../transport/transport.ts";

const DAY_MS = 86_400_000;
/** A client's leaf, with the properties that a test may change. */
export interface TestClient {
  readonly role?: Exclude<Role, "development" | "anonymous">;
  readonly uuid?: string;
  readonly notAfterMs?: number;
}

/** Everything that a TLS test needs. */
export interface TlsIdentities {
  readonly rootPem: string;
  /** The region's CA alone. */
  readonly intermediatePem: string;
  readonly server: TlsCertificate;
  readonly client: TlsCertificate;
  /** DER of the client's leaf. */
  readonly clientLeaf: Uint8Array;
  issueServer(): Promise<TlsCertificate>;
  issueClient(client: TestClient): Promise<TlsCertificate & { readonly leaf: Uint8Array }>;
}

/** Creates all of them; each call creates another root. */
export async function issueTlsIdentities(seed = 1): Promise<TlsIdentities> {
  const entropy = new SeededEntropy(seed);
  const nowMs = Date.now();
  const notBeforeMs = nowMs - 3_600_000;
  const root = await createRoot({
    name: "Test root",
    notBeforeMs,
    notAfterMs: nowMs + 300 * DAY_MS,
    entropy,
  });
  const scope = { trustDomain: "test.example", region: "eu-1" };
  const validity = { notBeforeMs, notAfterMs: nowMs + 30 * DAY_MS };
  const region = await (await CertificateAuthority.open(root))
    .createIntermediate({ ...validity, scope, entropy });
  const authority = await CertificateAuthority.open(region);
  let serial = 0;

  const issueServer = async (): Promise<TlsCertificate> => {
    const server = await authority.createServer({
      commonName: "a node",
      names: { dns: ["localhost"], ips: [Uint8Array.of(127, 0, 0, 1)] },
      notBeforeMs,
      notAfterMs: nowMs + 10 * DAY_MS,
      entropy,
    });
    return { chainPem: server.certificatePem + region.certificatePem, keyPem: server.keyPem };
  };
  const issueClient = async (client: TestClient) => {
    const keys = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const { privateKey, publicKey } = keys as CryptoKeyPair;
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
    const { role = "gateway", uuid = "11111111-1111-4111-8111-111111111111" } = client;
    const leaf = await authority.issueIdentity({
      serialNumber: new Uint8Array(16).fill(++serial),
      subject: `spiffe://test.example/region/eu-1/${role}/${uuid}`,
      publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)),
      notBeforeMs: nowMs - 60_000,
      notAfterMs: client.notAfterMs ?? nowMs + 3_000_000,
      registryIdentity: {
        lineage: 7,
        generation: 1,
        grants: { ...NO_GRANTS, domains: ["g.example"] },
      },
    });
    return {
      chainPem: encodePem("CERTIFICATE", leaf) + region.certificatePem,
      keyPem: encodePem("PRIVATE KEY", pkcs8),
      leaf,
    };
  };
  const client = await issueClient({});
  return {
    rootPem: root.certificatePem,
    intermediatePem: region.certificatePem,
    server: await issueServer(),
    client,
    clientLeaf: client.leaf,
    issueServer,
    issueClient,
  };
}
