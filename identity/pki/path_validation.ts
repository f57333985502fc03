/**
 * Certificate path validation (RFC 5280 §6, restricted to what the registry issues): decides
 * whether a chain is trusted and returns the identity it proves. A chain is a leaf followed, in
 * order, by its issuers; it ends at, or just below, a CA of the trust store. Nothing is searched or
 * fetched, so the work is bounded: at most four certificates are read and three signatures
 * verified, after the cheaper rules.
 *
 * Clock assumption: the caller's wall clock decides validity. A clock that is behind accepts
 * expired certificates for as long as it lags; one that is ahead refuses valid ones.
 */
import { defined } from "../../src/base/assert.ts";
import { bytesEqual } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { CERTIFICATE_PATH_MAX } from "../../src/base/limits.ts";
import type { Grants } from "../../src/base/peer.ts";
import { KEY_USAGE, LEAF_PROFILES, type LeafProfileName } from "./certificate_profile.ts";
import { type ParsedCertificate, readCertificate } from "./certificate_reader.ts";
import { type CertificateRefusal, isRefusal, refusal } from "./certificate_refusal.ts";
import { isSignedBy } from "./certificate_signature.ts";
import { forbiddenName } from "./name_constraints.ts";
import { sha256 } from "./sha256.ts";
import { parseRegionScope, parseSpiffeId, type SpiffeId } from "./spiffe.ts";
import { mayHaveIssued, type TrustStore } from "../trust/trust_store.ts";

/** Options of path validation. */
export interface PathOptions {
  /** Certificates in DER, the leaf first; kept by the result, so they must not be modified. */
  readonly chain: readonly Uint8Array[];
  readonly trust: TrustStore;
  /** Unix ms. */
  readonly nowMs: number;
  readonly profile: LeafProfileName;
  /**
   * For renewals only: a leaf that expired at most this many ms ago is accepted and judged as of
   * its last valid moment. Default 0.
   */
  readonly graceMs?: number;
}

/** A validated leaf. */
export interface ValidatedLeaf {
  readonly certificate: ParsedCertificate;
  /** SHA-256 of the leaf in DER: `leafHash`, and `cnf.x5t#S256` of tokens. */
  readonly sha256: Uint8Array;
  /** Unix ms at which the leaf or a CA above it expires, whichever comes first. */
  readonly expiresAtMs: number;
  /** Whether the leaf is expired and was accepted because of the grace period only. */
  readonly expired: boolean;
}

/** A validated identity. */
export interface ValidatedIdentity extends ValidatedLeaf {
  /** The SPIFFE id as text, and its parts. */
  readonly subject: string;
  readonly spiffe: SpiffeId;
  readonly lineage: number;
  readonly generation: number;
  readonly grants: Grants;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/**
 * Validates the chain of an identity leaf: it must have one SPIFFE id, of this trust domain, in the
 * region of its CA.
 */
export async function validateIdentity(
  options: Omit<PathOptions, "profile">,
): Promise<ValidatedIdentity | CertificateRefusal> {
  const path = buildPath({ ...options, profile: "identity" });
  if (isRefusal(path)) return path;
  const identity = readIdentity(path, options.trust);
  if (isRefusal(identity)) return identity;
  const leaf = await finishPath(path, options.trust);
  return isRefusal(leaf) ? leaf : { ...leaf, ...identity };
}

/**
 * Validates the chain of a leaf of any profile. Names are not checked; for identities use {@link
 * validateIdentity}.
 */
export async function validatePath(
  options: PathOptions,
): Promise<ValidatedLeaf | CertificateRefusal> {
  const path = buildPath(options);
  return isRefusal(path) ? path : await finishPath(path, options.trust);
}

/**
 * A path that satisfies all rules except the signatures, which cost most and are therefore checked
 * last.
 */
interface Path {
  /** Certificates from the leaf to the root. */
  readonly certificates: readonly ParsedCertificate[];
  readonly expiresAtMs: number;
  readonly expired: boolean;
}

function buildPath(options: PathOptions): Path | CertificateRefusal {
  const { chain, trust, nowMs, profile, graceMs = 0 } = options;
  const shown = readChain(chain);
  if (isRefusal(shown)) return shown;
  const certificates = joinToTrust(shown, trust);
  if (isRefusal(certificates)) return certificates;
  const leaf = defined(certificates[0], "A path has a leaf");
  const expired = leaf.notAfterMs < nowMs && nowMs <= leaf.notAfterMs + graceMs;
  const judgedAtMs = expired ? leaf.notAfterMs : nowMs;
  const refused = leafFault(leaf, profile) ?? outlivesFault(leaf, certificates[1]) ??
    firstFault(certificates, (certificate) => validityFault(certificate, judgedAtMs)) ??
    firstFault(certificates, criticalFault) ??
    firstFault(certificates, (_, index) => authorityFault(certificates, index, profile));
  if (refused !== undefined) return refused;
  const expiresAtMs = Math.min(...certificates.map(({ notAfterMs }) => notAfterMs));
  return { certificates, expiresAtMs, expired };
}

function readChain(
  chain: readonly Uint8Array[],
): readonly ParsedCertificate[] | CertificateRefusal {
  if (chain.length === 0 || chain.length > CERTIFICATE_PATH_MAX) {
    const wanted = `1 to ${CERTIFICATE_PATH_MAX}`;
    return refusal("path_size", `it has ${chain.length} certificates: ${wanted} are needed`);
  }
  const shown: ParsedCertificate[] = [];
  for (const [index, der] of chain.entries()) {
    const certificate = readCertificate(der);
    if (isRefusal(certificate)) return at(index, certificate);
    shown.push(certificate);
  }
  return shown;
}

/**
 * Builds the path from the leaf to a root. An issuer that the trust store holds is taken from the
 * store. A certificate of the chain at that place must equal it; if the store is open, the chain
 * may supply issuers that the store does not hold.
 */
function joinToTrust(
  shown: readonly ParsedCertificate[],
  trust: TrustStore,
): readonly ParsedCertificate[] | CertificateRefusal {
  const path = shown.slice(0, 1);
  for (let top = shown[0]!; !trust.isRoot(top); path.push(top)) {
    const following = shown[path.length];
    const known = trust.issuerOf(top);
    const issuer = known ?? (trust.isOpen ? following : undefined);
    if (
      path.length === CERTIFICATE_PATH_MAX || issuer === undefined || !mayHaveIssued(issuer, top)
    ) {
      return at(path.length - 1, refusal("unknown_issuer", "no trusted CA issued it"));
    }
    if (following !== undefined && !bytesEqual(following.der, issuer.der)) {
      return at(
        path.length,
        refusal("unknown_issuer", "it is not the issuer of the preceding certificate"),
      );
    }
    top = issuer;
  }
  if (shown.length > path.length) {
    return at(path.length, refusal("unknown_issuer", "it follows the root"));
  }
  return path;
}

/** Verifies the signatures that the store did not verify when it was opened, from the root down. */
async function finishPath(
  { certificates, expiresAtMs, expired }: Path,
  trust: TrustStore,
): Promise<ValidatedLeaf | CertificateRefusal> {
  for (let index = certificates.length - 2; index >= 0; index--) {
    const certificate = certificates[index]!;
    if (trust.holds(certificate)) continue;
    if (!(await isSignedBy(certificate, certificates[index + 1]!.publicKey))) {
      return at(index, refusal("signature", "it is not signed by its issuer's key"));
    }
  }
  const certificate = certificates[0]!;
  return { certificate, sha256: sha256(certificate.der), expiresAtMs, expired };
}

function leafFault(
  leaf: ParsedCertificate,
  profile: LeafProfileName,
): CertificateRefusal | undefined {
  const { keyAlgorithm, extendedKeyUsage, lifeMsMax } = LEAF_PROFILES[profile];
  const { isCa, keyUsage, extendedKeyUsage: usages } = leaf.extensions;
  if (isCa) return refusal("leaf_is_ca", "a CA stands in the place of the leaf");
  if (leaf.publicKey.algorithm !== keyAlgorithm) {
    return refusal("algorithm", `its key is ${leaf.publicKey.algorithm}: needed ${keyAlgorithm}`);
  }
  if (keyUsage !== KEY_USAGE.digitalSignature) {
    return refusal("key_usage", "its key usage must be digitalSignature alone");
  }
  if (usages?.length !== 1 || usages[0] !== extendedKeyUsage) {
    return refusal("extended_key_usage", `it must be for ${extendedKeyUsage} (${profile}) alone`);
  }
  const lifeMs = leaf.notAfterMs - leaf.notBeforeMs;
  if (lifeMs > lifeMsMax) {
    return refusal("lifetime", `it is valid for ${lifeMs} ms: at most ${lifeMsMax} are allowed`);
  }
  return undefined;
}

/**
 * Refuses a leaf that expires after its CA, since the CA could become untrusted while the leaf is
 * still valid.
 */
function outlivesFault(
  leaf: ParsedCertificate,
  issuer: ParsedCertificate | undefined,
): CertificateRefusal | undefined {
  return issuer !== undefined && leaf.notAfterMs > issuer.notAfterMs
    ? refusal("lifetime", "it expires after its issuer")
    : undefined;
}

function validityFault(
  { notBeforeMs, notAfterMs }: ParsedCertificate,
  judgedAtMs: number,
): CertificateRefusal | undefined {
  if (judgedAtMs < notBeforeMs) {
    const [from, now] = [notBeforeMs, judgedAtMs].map((ms) => new Date(ms).toISOString());
    return refusal("not_yet_valid", `it is valid from ${from}: the clock shows ${now}`);
  }
  if (judgedAtMs > notAfterMs) {
    return refusal("expired", `it was valid until ${new Date(notAfterMs).toISOString()}`);
  }
  return undefined;
}

function criticalFault({ extensions }: ParsedCertificate): CertificateRefusal | undefined {
  const [unknown] = extensions.unknownCritical;
  return unknown === undefined
    ? undefined
    : refusal("critical_extension", `its critical extension ${unknown} is unknown`);
}

/**
 * Returns the reason why the certificate at `index` may not issue those below it, or `undefined`.
 */
function authorityFault(
  path: readonly ParsedCertificate[],
  index: number,
  profile: LeafProfileName,
): CertificateRefusal | undefined {
  if (index === 0) return undefined;
  const { extensions } = path[index]!;
  if (!extensions.isCa) return refusal("not_a_ca", "it signs a certificate but is not a CA");
  if (((extensions.keyUsage ?? 0) & KEY_USAGE.keyCertSign) === 0) {
    return refusal("key_usage", "its key is not for signing certificates");
  }
  // Unlike RFC 5280, self-issued CAs count here: the registry never issues one in the middle of a
  // path.
  const authoritiesBelow = index - 1;
  if (extensions.pathLength !== undefined && authoritiesBelow > extensions.pathLength) {
    return refusal(
      "path_length",
      `it has ${authoritiesBelow} CAs below it: at most ${extensions.pathLength} are allowed`,
    );
  }
  const { extendedKeyUsage } = LEAF_PROFILES[profile];
  if (extensions.extendedKeyUsage?.includes(extendedKeyUsage) === false) {
    return refusal(
      "extended_key_usage",
      `it may not issue certificates for ${extendedKeyUsage} (${profile})`,
    );
  }
  const { nameConstraints } = extensions;
  if (nameConstraints === undefined) return undefined;
  for (const { extensions: below } of path.slice(0, index)) {
    const name = forbiddenName(below.names, nameConstraints);
    if (name !== undefined) {
      return refusal("name_constraints", `it may not issue for the name ${name.slice(0, 128)}`);
    }
  }
  return undefined;
}

/** Returns the identity of a leaf, checked against the trust domain and the region of its CA. */
function readIdentity(
  { certificates }: Path,
  { trustDomain }: TrustStore,
): Omit<ValidatedIdentity, keyof ValidatedLeaf> | CertificateRefusal {
  const leaf = certificates[0]!;
  const { names, registryIdentity } = leaf.extensions;
  const [subject] = names.uris;
  if (subject === undefined || names.uris.length + names.dns.length + names.ips.length > 1) {
    return refusal("names", "it must have one SPIFFE id and no other name");
  }
  const spiffe = parsed(() => parseSpiffeId(subject, "its name"));
  if (isRefusal(spiffe)) return spiffe;
  if (spiffe.trustDomain !== trustDomain) {
    return refusal("trust_domain", `it is of ${spiffe.trustDomain}: needed ${trustDomain}`);
  }
  const [scopeText = ""] = certificates[1]?.extensions.names.uris ?? [];
  const scope = parsed(() => parseRegionScope(scopeText, "its issuer's name"));
  if (isRefusal(scope) || scope.trustDomain !== trustDomain || scope.region !== spiffe.region) {
    return refusal("region", `its issuer may not issue for region ${spiffe.region}`);
  }
  if (registryIdentity === undefined) return refusal("names", "it names no lineage");
  return { subject, spiffe, ...registryIdentity, publicKey: leaf.publicKey.bytes };
}

function parsed<T extends object>(parse: () => T): T | CertificateRefusal {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RegistryError) return refusal("names", error.message);
    throw error;
  }
}

function firstFault(
  path: readonly ParsedCertificate[],
  check: (certificate: ParsedCertificate, index: number) => CertificateRefusal | undefined,
): CertificateRefusal | undefined {
  for (const [index, certificate] of path.entries()) {
    const refused = check(certificate, index);
    if (refused !== undefined) return at(index, refused);
  }
  return undefined;
}

/** Prefixes the message with the certificate's position in the path. */
function at(index: number, { fault, message }: CertificateRefusal): CertificateRefusal {
  return refusal(fault, `certificate ${index + 1} of the path: ${message}`);
}
