/**
 * The trusted CAs: roots, and the intermediates that a trust bundle publishes. Their own paths are
 * verified once, when the store is opened, so that a handshake costs one signature.
 *
 * A store opened from a bundle is closed: an intermediate that the bundle does not contain, or no
 * longer contains, is not trusted even if a root signed it. A store with roots alone is open: peers
 * supply intermediates.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import { TRUST_AUTHORITIES_MAX } from "../../src/base/limits.ts";
import { type ParsedCertificate, readCertificate } from "../pki/certificate_reader.ts";
import { type CertificateRefusal, isRefusal, refusal } from "../pki/certificate_refusal.ts";
import { isSignedBy } from "../pki/certificate_signature.ts";
import { checkTrustDomain } from "../pki/spiffe.ts";

/** Contents of a store; certificates in DER. */
export interface TrustStoreOptions {
  readonly trustDomain: string;
  readonly roots: readonly Uint8Array[];
  /**
   * Intermediates of a bundle; `undefined`: there is no bundle, and peers supply their
   * intermediates.
   */
  readonly intermediates?: readonly Uint8Array[];
}

/** Trusted CAs. Immutable. */
export class TrustStore {
  readonly trustDomain: string;
  readonly roots: readonly ParsedCertificate[];
  readonly intermediates: readonly ParsedCertificate[];
  /** Whether peers may supply intermediates. */
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
   * Parses the CAs and checks that each intermediate is signed by a root. Their validity now, and
   * what they may sign, is checked with each path.
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

  /** Reports whether a certificate is a root of the store, by comparing all bytes. */
  isRoot(certificate: ParsedCertificate): boolean {
    return this.roots.some(({ der }) => bytesEqual(der, certificate.der));
  }

  /** Reports whether a certificate is a CA of the store, by comparing all bytes. */
  holds(certificate: ParsedCertificate): boolean {
    return this.isRoot(certificate) ||
      this.intermediates.some(({ der }) => bytesEqual(der, certificate.der));
  }

  /**
   * Returns the CA of the store that the certificate names as its issuer; the signature is not
   * checked.
   */
  issuerOf(certificate: ParsedCertificate): ParsedCertificate | undefined {
    return this.intermediates.find((candidate) => mayHaveIssued(candidate, certificate)) ??
      this.roots.find((candidate) => mayHaveIssued(candidate, certificate));
  }
}

/** Reports whether name and key identifier of the issuer are those that the certificate names. */
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
    return refusal(
      "too_large",
      `there are ${list.length} CAs: at most ${TRUST_AUTHORITIES_MAX} are allowed`,
    );
  }
  const authorities: ParsedCertificate[] = [];
  for (const [index, der] of list.entries()) {
    const certificate = readCertificate(der);
    if (isRefusal(certificate)) {
      return refusal(certificate.fault, `CA ${index + 1}: ${certificate.message}`);
    }
    if (!certificate.extensions.isCa) {
      return refusal("not_a_ca", `certificate ${index + 1} is not a CA`);
    }
    authorities.push(certificate);
  }
  return authorities;
}
