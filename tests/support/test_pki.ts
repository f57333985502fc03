/**
 * A complete authority for tests: root, intermediate of region eu-1, identity leaves, and
 * certificates that the product never issues. Keys are derived from a seed; times are fixed.
 */
import { NO_GRANTS } from "../../src/base/peer.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import {
  CertificateAuthority,
  createRoot,
  type IdentityLeaf,
  type PemPair,
} from "../../identity/enrolment/authority.ts";
import { type CertificateKey, createKey, openKey } from "../../identity/pki/certificate_key.ts";
import { KEY_USAGE, OID } from "../../identity/pki/certificate_profile.ts";
import { type ParsedCertificate, readCertificate } from "../../identity/pki/certificate_reader.ts";
import { type CertificateRefusal, isRefusal } from "../../identity/pki/certificate_refusal.ts";
import {
  type CertificateContents,
  writeCertificate,
} from "../../identity/pki/certificate_writer.ts";
import { contextConstructed, DER_TAG, DerReader } from "../../identity/pki/der.ts";
import { type SigningKey, signingKeyOfSeed } from "../../identity/pki/ed25519.ts";
import type { ExtensionContents } from "../../identity/pki/extension_writer.ts";
import { decodePem } from "../../identity/pki/pem.ts";
import { TrustStore } from "../../identity/trust/trust_store.ts";
import { derElement, derOid, derSigned } from "./der_writer.ts";

export const NOW_MS = Date.parse("2026-06-01T12:00:00Z");
export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
export const TRUST_DOMAIN = "registry.example";
export const REGION = "eu-1";
export const AGENT_ID = "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";
export const AGENT = `spiffe://${TRUST_DOMAIN}/region/${REGION}/agent/${AGENT_ID}`;

/**
 * A CA: its pair, the opened authority, and its key for certificates that the authority would not
 * issue.
 */
export interface TestAuthority {
  readonly pair: PemPair;
  readonly authority: CertificateAuthority;
  readonly certificate: ParsedCertificate;
  readonly key: CertificateKey;
}

export interface TestPki {
  readonly entropy: SeededEntropy;
  readonly root: TestAuthority;
  readonly intermediate: TestAuthority;
  /** Trusts the root, and the intermediate that a bundle would publish. */
  readonly closed: TrustStore;
  /** Trusts the root, and the intermediates that peers present below it. */
  readonly open: TrustStore;
  /** The key of {@link agentLeaf}. */
  readonly leafKey: SigningKey;
}

/** Returns the value, which must not be a refusal. */
export function accepted<T extends object>(result: T | CertificateRefusal): T {
  if (isRefusal(result)) throw new Error(`Refused: ${result.fault}, ${result.message}`);
  return result;
}

/** Opens the CA of a pair. */
export async function openTestAuthority(pair: PemPair): Promise<TestAuthority> {
  const authority = await CertificateAuthority.open(pair);
  const { certificate } = authority;
  const key = await openKey(pair.keyPem, certificate.publicKey);
  return { pair, authority, certificate, key };
}

/** Creates a root, valid for ten years around {@link NOW_MS}. */
export async function createTestRoot(entropy: SeededEntropy): Promise<TestAuthority> {
  const validity = { notBeforeMs: NOW_MS - 365 * DAY_MS, notAfterMs: NOW_MS + 3_285 * DAY_MS };
  return await openTestAuthority(await createRoot({ name: "Registry root", ...validity, entropy }));
}

/** Creates an intermediate of a region under `root`, valid from a day ago for 180 days. */
export async function createTestIntermediate(
  root: TestAuthority,
  entropy: SeededEntropy,
  region = REGION,
): Promise<TestAuthority> {
  const pair = await root.authority.createIntermediate({
    scope: { trustDomain: TRUST_DOMAIN, region },
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + 179 * DAY_MS,
    entropy,
  });
  return await openTestAuthority(pair);
}

export async function createTestPki(seed = 1): Promise<TestPki> {
  const entropy = new SeededEntropy(seed);
  const root = await createTestRoot(entropy);
  const intermediate = await createTestIntermediate(root, entropy);
  const roots = [root.certificate.der];
  const intermediates = [intermediate.certificate.der];
  const leafSeed = new Uint8Array(32);
  entropy.fill(leafSeed);
  return {
    entropy,
    root,
    intermediate,
    closed: accepted(
      await TrustStore.open({ trustDomain: TRUST_DOMAIN, roots, intermediates }),
    ),
    open: accepted(await TrustStore.open({ trustDomain: TRUST_DOMAIN, roots })),
    leafKey: await signingKeyOfSeed(leafSeed),
  };
}

/** Returns an agent's leaf, valid for an hour from {@link NOW_MS}, with `changes`. */
export function agentLeaf(pki: TestPki, changes: Partial<IdentityLeaf> = {}): IdentityLeaf {
  return {
    serialNumber: Uint8Array.of(0x41, 1, 2, 3),
    subject: AGENT,
    publicKey: pki.leafKey.verifying.bytes,
    notBeforeMs: NOW_MS - 5 * MINUTE_MS,
    notAfterMs: NOW_MS + 60 * MINUTE_MS,
    registryIdentity: { lineage: 7, generation: 1, grants: NO_GRANTS },
    ...changes,
  };
}

/**
 * Returns the contents that the authority writes into an agent's leaf, for certificates that differ
 * in one part.
 */
export function leafContents(
  pki: TestPki,
  changes: Partial<Omit<CertificateContents, "extensions">> = {},
  extensions: ExtensionContents = {},
): CertificateContents {
  const { serialNumber, publicKey, notBeforeMs, notAfterMs, registryIdentity } = agentLeaf(pki);
  return {
    serialNumber,
    commonName: "Registry identity 7",
    notBeforeMs,
    notAfterMs,
    publicKey: { algorithm: "Ed25519", bytes: publicKey },
    extensions: {
      keyUsage: KEY_USAGE.digitalSignature,
      extendedKeyUsage: [OID.clientAuth],
      names: { dns: [], ips: [], uris: [AGENT] },
      registryIdentity,
      ...extensions,
    },
    ...changes,
  };
}

/** Creates an intermediate with a new key and the contents that the authority writes, changed. */
export async function createOddIntermediate(
  pki: TestPki,
  extensions: ExtensionContents = {},
  changes: Partial<Omit<CertificateContents, "extensions">> = {},
  issuer: TestAuthority = pki.root,
): Promise<TestAuthority> {
  const { key, keyPem } = await createKey("Ed25519", pki.entropy);
  const contents: CertificateContents = {
    serialNumber: Uint8Array.of(0x42, 1),
    commonName: "Odd CA",
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + 179 * DAY_MS,
    publicKey: key.publicKey,
    extensions: {
      isCa: true,
      pathLength: 0,
      keyUsage: KEY_USAGE.keyCertSign,
      names: { dns: [], ips: [], uris: [`spiffe://${TRUST_DOMAIN}/region/${REGION}`] },
      ...extensions,
    },
    ...changes,
  };
  const der = await writeCertificate(contents, issuer.key, issuer.certificate);
  const certificate = accepted(readCertificate(der));
  // The authority refuses certificates that are not a CA; such a one signs by its key alone.
  return { pair: { certificatePem: "", keyPem }, authority: pki.root.authority, certificate, key };
}

/**
 * Returns a certificate with one more extension, which the product cannot write, signed like the
 * others.
 */
export async function writeWithExtension(
  issuer: TestAuthority,
  contents: CertificateContents,
  extra: { readonly oid: string; readonly critical: boolean; readonly value: Uint8Array },
): Promise<Uint8Array> {
  const plain = await writeCertificate(contents, issuer.key, issuer.certificate);
  const fields = new DerReader(plain).inside(DER_TAG.sequence).inside(DER_TAG.sequence);
  const parts: Uint8Array[] = [];
  while (fields.nextTag !== contextConstructed(3)) parts.push(fields.whole(fields.nextTag));
  const extensions = fields.inside(contextConstructed(3)).content(DER_TAG.sequence);
  const added = derElement(
    DER_TAG.sequence,
    derOid(extra.oid),
    ...(extra.critical ? [derElement(DER_TAG.boolean, Uint8Array.of(0xff))] : []),
    derElement(DER_TAG.octetString, extra.value),
  );
  const list = derElement(DER_TAG.sequence, extensions, added);
  const signed = derElement(DER_TAG.sequence, ...parts, derElement(contextConstructed(3), list));
  return await derSigned(signed, issuer.key);
}

/** Returns the DER of a pair's certificate. */
export function derOf(pair: PemPair): Uint8Array {
  const [der] = decodePem("CERTIFICATE", pair.certificatePem);
  if (der === undefined) throw new Error("The pair has no certificate");
  return der;
}
