/**
 * Issues the certificates of a development identity: a root restricted to this machine's loopback
 * names, and server certificates that can be pinned by hash. It uses the production authority
 * (`authority.ts`), with all keys generated locally and no intermediate.
 *
 * The root's key is P-256 like the servers' keys, because TLS stacks without Ed25519 verify chains
 * up to it.
 */
import { DEVELOPMENT_CA_LIFE_MS, SERVER_CERTIFICATE_LIFE_MS } from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";
import { CertificateAuthority, createRoot, type PemPair, type Validity } from "./authority.ts";
import { type KeyedCertificate, parseKeyedCertificate } from "../pki/certificate.ts";
import type { CertificateNames, NameConstraints } from "../pki/name_constraints.ts";

/** Start of the validity and source of randomness. */
export interface IssueOptions {
  /** Unix ms, rounded down to the second, the precision of X.509. */
  readonly notBeforeMs: number;
  readonly entropy: Entropy;
}

const LOOPBACK_4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const LOOPBACK_NAMES: CertificateNames = {
  dns: ["localhost"],
  ips: [LOOPBACK_4, LOOPBACK_6],
  uris: [],
};
/** The same names only: each address has a mask of all bits. */
const LOOPBACK_CONSTRAINTS: NameConstraints = {
  permitted: [
    { form: "dns", base: "localhost" },
    ...[LOOPBACK_4, LOOPBACK_6].map((address) => ({
      form: "ip" as const,
      base: Uint8Array.of(...address, ...new Uint8Array(address.length).fill(0xff)),
    })),
  ],
  excluded: [],
};

/** Issues a CA for this machine's loopback names. */
export async function issueAuthority(options: IssueOptions): Promise<KeyedCertificate> {
  const pair = await createRoot({
    // A random number follows the name, so that two CAs on one machine are not mistaken for each
    // other.
    name: "Registry development CA",
    ...validity(options.notBeforeMs, DEVELOPMENT_CA_LIFE_MS),
    algorithm: "P-256",
    pathLength: 0,
    nameConstraints: LOOPBACK_CONSTRAINTS,
    entropy: options.entropy,
  });
  return keyed(pair);
}

/** Issues a server certificate for `localhost`, `127.0.0.1` and `::1`, signed by `authority`. */
export async function issueServer(
  authority: KeyedCertificate,
  options: IssueOptions,
): Promise<KeyedCertificate> {
  const issuer = await CertificateAuthority.open(authority);
  const pair = await issuer.createServer({
    commonName: "localhost",
    names: LOOPBACK_NAMES,
    ...validity(options.notBeforeMs, SERVER_CERTIFICATE_LIFE_MS),
    entropy: options.entropy,
  });
  return keyed(pair);
}

/** Returns the file form of a pair: the key, then the certificate. */
export function keyedPem(pair: PemPair): string {
  return pair.keyPem + pair.certificatePem;
}

function keyed(pair: PemPair): KeyedCertificate {
  const certificate = parseKeyedCertificate(keyedPem(pair));
  if (typeof certificate === "string") {
    throw new Error(`An issued certificate is unusable: ${certificate}`);
  }
  return certificate;
}

function validity(notBeforeMs: number, lifeMs: number): Validity {
  const startMs = Math.floor(notBeforeMs / 1_000) * 1_000;
  return { notBeforeMs: startMs, notAfterMs: startMs + lifeMs };
}
