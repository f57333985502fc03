/**
 * Makes the certificates of a development identity: a root that may speak for this machine's loopback
 * names alone, and server certificates that can be pinned by hash. The same authority as everywhere
 * (`authority.ts`), with everything made on the spot and no intermediate between.
 *
 * The root's key is P-256 like the servers', for TLS stacks that know no Ed25519 check chains up to it.
 */
import { DEVELOPMENT_CA_LIFE_MS, SERVER_CERTIFICATE_LIFE_MS } from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";
import { CertificateAuthority, createRoot, type PemPair, type Validity } from "./authority.ts";
import { type KeyedCertificate, parseKeyedCertificate } from "../pki/certificate.ts";
import type { CertificateNames, NameConstraints } from "../pki/name_constraints.ts";

/** The start of a validity and where its randomness comes from. */
export interface IssueOptions {
  /** Unix ms, cut to the second that X.509 can express. */
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
/** The same names, and nothing else: each address with a mask of all its bits. */
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

/** Makes a CA for this machine's loopback names. */
export async function issueAuthority(options: IssueOptions): Promise<KeyedCertificate> {
  const pair = await createRoot({
    // It gets a number of its own: two CAs of one name on one machine would be taken for each other.
    name: "Registry development CA",
    ...validity(options.notBeforeMs, DEVELOPMENT_CA_LIFE_MS),
    algorithm: "P-256",
    pathLength: 0,
    nameConstraints: LOOPBACK_CONSTRAINTS,
    entropy: options.entropy,
  });
  return keyed(pair);
}

/** Makes a server certificate for `localhost`, `127.0.0.1` and `::1`, signed by `authority`. */
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

/** The file form of a pair: key, then certificate. */
export function keyedPem(pair: PemPair): string {
  return pair.keyPem + pair.certificatePem;
}

function keyed(pair: PemPair): KeyedCertificate {
  const certificate = parseKeyedCertificate(keyedPem(pair));
  if (typeof certificate === "string") {
    throw new Error(`A certificate was made wrongly: ${certificate}`);
  }
  return certificate;
}

function validity(notBeforeMs: number, lifeMs: number): Validity {
  const startMs = Math.floor(notBeforeMs / 1_000) * 1_000;
  return { notBeforeMs: startMs, notAfterMs: startMs + lifeMs };
}
