/**
 * The CAs that are believed: roots, and the intermediates that a trust bundle publishes. Their own
 * paths are checked once, when the store is opened, so that a handshake costs one signature.
 *
 * A store of a bundle is closed: an intermediate that the bundle does not publish, or no longer, is
 * not believed even though a root signed it. A store of roots alone takes what a peer shows.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import { TRUST_AUTHORITIES_MAX } from "../../src/base/limits.ts";
import { type ParsedCertificate, readCertificate } from "../pki/certificate_reader.ts";
import { type CertificateRefusal, isRefusal, refusal } from "../pki/certificate_refusal.ts";
import { isSignedBy } from "../pki/certificate_signature.ts";
import { checkTrustDomain } from "../pki/spiffe.ts";

/** What a store is made of; certificates in DER. */
export interface TrustStoreOptions {
  readonly trustDomain: string;
  readonly roots: readonly Uint8Array[];
  /** What a bundle publishes; `undefined`: there is none, and peers show their intermediates. */
  readonly intermediates?: readonly Uint8Array[];
}

/** Believed CAs. Immutable. */
export class TrustStore {
  readonly trustDomain: string;
  readonly roots: readonly ParsedCertificate[];
  readonly intermediates: readonly ParsedCertificate[];
  /** True where a peer may show intermediates of its own. */
  readonly isOpen: boolean;

  private constructor(
    trustDomain: string,
    roots: readonly ParsedCertificate[],
    intermediates: readonly ParsedCertificate[] | undefined,
  ) {
    this.trustDomain = trustDomain;
    this.roots = roots;
    this.intermediates = intermediates ?? [];
    this.isOpen = intermediates === undefined;
  }

  /**
   * Reads the CAs and checks that each intermediate is signed by a root. Whether they are valid now,
   * and what they may sign, is judged with each path.
   *
   * @throws RegistryError `invalid_argument` for the trust domain.
   */
  static async open(options: TrustStoreOptions): Promise<TrustStore | CertificateRefusal> {
    const trustDomain = checkTrustDomain(options.trustDomain);
    const roots = readAuthorities(options.roots);
    if (isRefusal(roots)) return roots;
    if (roots.length === 0) return refusal("unknown_issuer", "a trust store must have a root");
    if (options.intermediates === undefined) return new TrustStore(trustDomain, roots, undefined);
    const intermediates = readAuthorities(options.intermediates);
    if (isRefusal(intermediates)) return intermediates;
    for (const [index, intermediate] of intermediates.entries()) {
      const root = roots.find((candidate) => mayHaveIssued(candidate, intermediate));
      if (root === undefined || !(await isSignedBy(intermediate, root.publicKey))) {
        return refusal("unknown_issuer", `intermediate ${index + 1} is not signed by a root`);
      }
    }
    return new TrustStore(trustDomain, roots, intermediates);
  }

  /** True for a root, compared whole. */
  isRoot(certificate: ParsedCertificate): boolean {
    return this.roots.some(({ der }) => bytesEqual(der, certificate.der));
  }

  /** True for a CA of the store, compared whole. */
  holds(certificate: ParsedCertificate): boolean {
    return this.isRoot(certificate) ||
      this.intermediates.some(({ der }) => bytesEqual(der, certificate.der));
  }

  /** The CA of the store that the certificate names as its issuer; the signature is not checked. */
  issuerOf(certificate: ParsedCertificate): ParsedCertificate | undefined {
    return this.intermediates.find((candidate) => mayHaveIssued(candidate, certificate)) ??
      this.roots.find((candidate) => mayHaveIssued(candidate, certificate));
  }
}

/** True where name and key identifier of the issuer are those that the certificate names. */
export function mayHaveIssued(issuer: ParsedCertificate, certificate: ParsedCertificate): boolean {
  if (!bytesEqual(issuer.subject, certificate.issuer)) return false;
  const { subjectKeyId } = issuer.extensions;
  const { authorityKeyId } = certificate.extensions;
  return subjectKeyId === undefined || authorityKeyId === undefined ||
    bytesEqual(subjectKeyId, authorityKeyId);
}

function readAuthorities(
  list: readonly Uint8Array[],
): readonly ParsedCertificate[] | CertificateRefusal {
  if (list.length > TRUST_AUTHORITIES_MAX) {
    return refusal("too_large", `${list.length} CAs: at most ${TRUST_AUTHORITIES_MAX}`);
  }
  const authorities: ParsedCertificate[] = [];
  for (const [index, der] of list.entries()) {
    const certificate = readCertificate(der);
    if (isRefusal(certificate)) {
      return refusal(certificate.fault, `CA ${index + 1}: ${certificate.message}`);
    }
    if (!certificate.extensions.isCa) return refusal("not_a_ca", `CA ${index + 1} is none`);
    authorities.push(certificate);
  }
  return authorities;
}
