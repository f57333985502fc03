/**
 * Certificate profiles of the registry: one table that issuing follows and path validation
 * enforces. Sources: RFC 5280 §4.2; the SPIFFE X509-SVID specification; the WebTransport
 * specification (pinned certificates: P-256, at most 14 days).
 *
 * | profile      | key             | signs            | usage                    | life       |
 * | ------------ | --------------- | ---------------- | ------------------------ | ---------- |
 * | root         | Ed25519 (P-256) | certificates     | CA                       | as issued  |
 * | intermediate | Ed25519         | certificates     | CA of one region         | as issued  |
 * | identity     | Ed25519         | handshakes       | clientAuth, one SPIFFE id | 1 h       |
 * | server       | P-256           | TLS              | serverAuth               | ≤ 14 days  |
 * | bundleSigner | Ed25519         | trust bundles    | its own                  | ≤ 90 days  |
 */
import {
  BUNDLE_SIGNER_LIFE_MS,
  IDENTITY_BACKDATE_MS,
  IDENTITY_LIFE_MS,
  SERVER_CERTIFICATE_LIFE_MS_MAX,
} from "../../src/base/limits.ts";

/**
 * Accepted key algorithms, each with one signature algorithm: Ed25519, and ECDSA on P-256 with
 * SHA-256.
 */
export type KeyAlgorithm = "Ed25519" | "P-256";

/** Key usage bits (RFC 5280 §4.2.1.3). */
export const KEY_USAGE = {
  digitalSignature: 1 << 0,
  keyCertSign: 1 << 5,
  crlSign: 1 << 6,
} as const;

/**
 * Object identifiers. Two ways need no registration: a UUID under 2.25 (X.667), whose number has more than
 * 31 bits, and a UUID in parts under 1.2.840.113556.1.8000.2554, which Microsoft opened for everybody. Go
 * refuses a certificate with an extension, or a usage, of the first kind.
 */
export const OID = {
  ed25519: "1.3.101.112",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecPublicKey: "1.2.840.10045.2.1",
  p256: "1.2.840.10045.3.1.7",
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  /** Extension of the registry: lineage, generation and grants. */
  registryIdentity: "1.2.840.113556.1.8000.2554.20205.49691.65128.20287.45586.1130608.3851557",
  /** The same extension in certificates of former versions, with the same UUID. */
  formerRegistryIdentity: "2.25.104914295032054983565447968617056093477",
  /** Extended key usage of the registry: signs trust bundles. */
  bundleSigning: "2.25.274094079929056292162484558201466252888",
} as const;

/** Profiles of certificates that sign no other certificates. */
export type LeafProfileName = "identity" | "server" | "bundleSigner";

/** Requirements for a leaf. */
export interface LeafProfile {
  readonly keyAlgorithm: KeyAlgorithm;
  /** The only extended key usage. */
  readonly extendedKeyUsage: string;
  /** Maximum time from the start to the end of its validity, ms. */
  readonly lifeMsMax: number;
}

/**
 * Profiles by name. Every leaf has the key usage digitalSignature and no other; the table holds the
 * differences.
 */
export const LEAF_PROFILES: Readonly<Record<LeafProfileName, LeafProfile>> = {
  identity: {
    keyAlgorithm: "Ed25519",
    extendedKeyUsage: OID.clientAuth,
    lifeMsMax: IDENTITY_LIFE_MS + IDENTITY_BACKDATE_MS,
  },
  server: {
    keyAlgorithm: "P-256",
    extendedKeyUsage: OID.serverAuth,
    lifeMsMax: SERVER_CERTIFICATE_LIFE_MS_MAX,
  },
  bundleSigner: {
    keyAlgorithm: "Ed25519",
    extendedKeyUsage: OID.bundleSigning,
    lifeMsMax: BUNDLE_SIGNER_LIFE_MS,
  },
};
