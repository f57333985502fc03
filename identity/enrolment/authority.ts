/**
 * The certificate authority: an offline root signs one or two intermediates of each region, and an
 * intermediate signs leaves (profiles: `certificate_profile.ts`). No certificate outlives its
 * issuer. `intermediate_schedule.ts` decides when an intermediate signs, `enrolment.ts` who gets a
 * leaf.
 *
 * The root's key is used by the command line on a separate machine; a node holds only the key of
 * its region's intermediate.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { assert } from "../../src/base/assert.ts";
import { bytesEqual, toHex } from "../../src/base/bytes.ts";
import type { Entropy } from "../../src/base/world.ts";
import { KEY_USAGE, type KeyAlgorithm, LEAF_PROFILES, OID } from "../pki/certificate_profile.ts";
import { type ParsedCertificate, readCertificate } from "../pki/certificate_reader.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";
import { type CertificateKey, createKey, openKey } from "../pki/certificate_key.ts";
import type { CertificateContents } from "../pki/certificate_writer.ts";
import type { RegistryIdentity } from "../pki/identity_extension.ts";
import type { CertificateNames, NameConstraints } from "../pki/name_constraints.ts";
import { decodePem, encodePem } from "../pki/pem.ts";
import { formatRegionScope, type RegionScope } from "../pki/spiffe.ts";

/** A certificate and its key in PEM. */
export interface PemPair {
  readonly certificatePem: string;
  /** PKCS #8. */
  readonly keyPem: string;
}

/** Validity, Unix ms; both times are rounded down to the second, the precision of X.509. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Options of {@link createRoot}. */
export interface RootOptions extends Validity {
  /** Common name; a random number is appended, so that two roots of one name are distinct. */
  readonly name: string;
  readonly algorithm?: KeyAlgorithm;
  /** Maximum number of CAs below it; default 1: the intermediates. */
  readonly pathLength?: number;
  readonly nameConstraints?: NameConstraints;
  readonly entropy: Entropy;
}

/** Contents of an identity leaf. */
export interface IdentityLeaf extends Validity {
  /** 16 bytes, the first of them in `[01, 7f]`. */
  readonly serialNumber: Uint8Array;
  /** SPIFFE id. */
  readonly subject: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly registryIdentity: RegistryIdentity;
}

/** Creates a root with a new key. */
export async function createRoot(options: RootOptions): Promise<PemPair> {
  const { entropy, pathLength = 1, nameConstraints, algorithm = "Ed25519" } = options;
  const { key, keyPem } = await createKey(algorithm, entropy);
  const contents: CertificateContents = {
    serialNumber: randomSerialNumber(entropy),
    commonName: `${options.name} ${randomHex(entropy, 4)}`,
    ...wholeSeconds(options),
    publicKey: key.publicKey,
    extensions: {
      isCa: true,
      pathLength,
      keyUsage: KEY_USAGE.keyCertSign | KEY_USAGE.crlSign,
      ...(nameConstraints && { nameConstraints }),
    },
  };
  const der = await writeChecked(contents, key);
  return { certificatePem: encodePem("CERTIFICATE", der), keyPem };
}

/** A CA with its key, which signs the certificates below it. */
export class CertificateAuthority {
  readonly certificate: ParsedCertificate;
  readonly #key: CertificateKey;

  private constructor(certificate: ParsedCertificate, key: CertificateKey) {
    this.certificate = certificate;
    this.#key = key;
  }

  /**
   * Opens the CA of a pair.
   *
   * @throws RegistryError `corrupt` if certificate or key cannot be read, or the certificate is not
   * a CA's.
   */
  static async open(pair: PemPair): Promise<CertificateAuthority> {
    const [der] = decodePem("CERTIFICATE", pair.certificatePem);
    const certificate = der === undefined ? undefined : readCertificate(der);
    if (certificate === undefined || isRefusal(certificate)) {
      throw corrupt(`its certificate cannot be read: ${certificate?.message ?? "it is not PEM"}`);
    }
    if (!certificate.extensions.isCa) throw corrupt("its certificate is not that of a CA");
    return new CertificateAuthority(
      certificate,
      await openKey(pair.keyPem, certificate.publicKey),
    );
  }

  /**
   * Creates an intermediate of a region with a new key. @throws RegistryError `invalid_argument`.
   */
  async createIntermediate(
    options: Validity & { readonly scope: RegionScope; readonly entropy: Entropy },
  ): Promise<PemPair> {
    const { scope, entropy } = options;
    const { key, keyPem } = await createKey("Ed25519", entropy);
    const der = await this.#issue({
      serialNumber: randomSerialNumber(entropy),
      commonName: `Registry CA ${randomHex(entropy, 4)}`,
      ...wholeSeconds(options),
      publicKey: key.publicKey,
      extensions: {
        isCa: true,
        pathLength: 0,
        keyUsage: KEY_USAGE.keyCertSign | KEY_USAGE.crlSign,
        names: { dns: [], ips: [], uris: [formatRegionScope(scope)] },
      },
    });
    return { certificatePem: encodePem("CERTIFICATE", der), keyPem };
  }

  /**
   * Creates an identity's leaf. Equal leaves give equal bytes.
   *
   * @returns DER, owned by the caller.
   * @throws RegistryError `invalid_argument` if it would outlive the CA.
   */
  async issueIdentity(leaf: IdentityLeaf): Promise<Uint8Array> {
    return await this.#issue({
      serialNumber: leaf.serialNumber,
      // The subject adds nothing to the SPIFFE id, so a short name of bounded length suffices.
      commonName: `Registry identity ${leaf.registryIdentity.lineage}`,
      ...wholeSeconds(leaf),
      publicKey: { algorithm: "Ed25519", bytes: leaf.publicKey },
      extensions: {
        keyUsage: KEY_USAGE.digitalSignature,
        extendedKeyUsage: [LEAF_PROFILES.identity.extendedKeyUsage],
        names: { dns: [], ips: [], uris: [leaf.subject] },
        registryIdentity: leaf.registryIdentity,
      },
    });
  }

  /**
   * Creates a server's TLS certificate.
   *
   * @returns DER.
   * @throws RegistryError `invalid_argument`.
   */
  async issueServer(
    options: Validity & {
      readonly commonName: string;
      readonly names: Omit<CertificateNames, "uris">;
      /** P-256, the uncompressed point. */
      readonly publicKey: Uint8Array;
      readonly entropy: Entropy;
    },
  ): Promise<Uint8Array> {
    return await this.#issue({
      serialNumber: randomSerialNumber(options.entropy),
      commonName: options.commonName,
      ...wholeSeconds(options),
      publicKey: { algorithm: "P-256", bytes: options.publicKey },
      extensions: {
        keyUsage: KEY_USAGE.digitalSignature,
        extendedKeyUsage: [LEAF_PROFILES.server.extendedKeyUsage],
        names: { ...options.names, uris: [] },
      },
    });
  }

  /**
   * Creates a server's TLS certificate with a new P-256 key. @throws RegistryError
   * `invalid_argument`.
   */
  async createServer(
    options: Validity & {
      readonly commonName: string;
      readonly names: Omit<CertificateNames, "uris">;
      readonly entropy: Entropy;
    },
  ): Promise<PemPair> {
    const { key, keyPem } = await createKey("P-256", options.entropy);
    const der = await this.issueServer({ ...options, publicKey: key.publicKey.bytes });
    return { certificatePem: encodePem("CERTIFICATE", der), keyPem };
  }

  /** Creates a trust bundle signer with a new key. @throws RegistryError `invalid_argument`. */
  async createBundleSigner(options: Validity & { readonly entropy: Entropy }): Promise<PemPair> {
    const { key, keyPem } = await createKey("Ed25519", options.entropy);
    const der = await this.#issue({
      serialNumber: randomSerialNumber(options.entropy),
      commonName: `Registry bundle signer ${randomHex(options.entropy, 4)}`,
      ...wholeSeconds(options),
      publicKey: key.publicKey,
      extensions: {
        keyUsage: KEY_USAGE.digitalSignature,
        extendedKeyUsage: [OID.bundleSigning],
      },
    });
    return { certificatePem: encodePem("CERTIFICATE", der), keyPem };
  }

  async #issue(contents: CertificateContents): Promise<Uint8Array> {
    const { notBeforeMs, notAfterMs } = this.certificate;
    if (contents.notBeforeMs < notBeforeMs || contents.notAfterMs > notAfterMs) {
      throw new RegistryError(
        "invalid_argument",
        `A certificate must be valid within [${iso(notBeforeMs)}, ${iso(notAfterMs)}], as its CA ` +
          `is: found [${iso(contents.notBeforeMs)}, ${iso(contents.notAfterMs)}]`,
        { field: "validity" },
      );
    }
    return await writeChecked(contents, this.#key, this.certificate);
  }
}

/**
 * Creates a certificate and parses it with the strict reader before anybody gets it, so that names
 * that no reader accepts, and anything that the library omits or rewrites, are noticed here.
 *
 * @throws RegistryError `invalid_argument` if nobody would accept it, `corrupt` if the library
 * cannot reproduce the CA's name exactly.
 */
async function writeChecked(
  contents: CertificateContents,
  key: CertificateKey,
  issuer?: ParsedCertificate,
): Promise<Uint8Array> {
  // Loaded on demand: nodes that open a CA without issuing, and all that only verify, do not need
  // the library.
  const { writeCertificate } = await import("../pki/certificate_writer.ts");
  const der = await writeCertificate(contents, key, issuer);
  const written = readCertificate(der);
  if (isRefusal(written)) {
    throw new RegistryError(
      "invalid_argument",
      `Cannot create a certificate that would be refused (${written.fault}): ${written.message}`,
      { field: "certificate" },
    );
  }
  if (issuer !== undefined && !bytesEqual(written.issuer, issuer.subject)) {
    throw corrupt("its name is in an encoding that cannot be written");
  }
  const { registryIdentity } = contents.extensions;
  assert(
    registryIdentity?.lineage === written.extensions.registryIdentity?.lineage,
    "A certificate must name the lineage of its contents",
  );
  return der;
}

function wholeSeconds({ notBeforeMs, notAfterMs }: Validity): Validity {
  const cut = (ms: number) => Math.floor(ms / 1_000) * 1_000;
  return { notBeforeMs: cut(notBeforeMs), notAfterMs: cut(notAfterMs) };
}

/** Returns a serial number of 126 random bits, positive and not zero (RFC 5280 §4.1.2.2). */
function randomSerialNumber(entropy: Entropy): Uint8Array {
  const bytes = new Uint8Array(16);
  entropy.fill(bytes);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes;
}

function randomHex(entropy: Entropy, count: number): string {
  const bytes = new Uint8Array(count);
  entropy.fill(bytes);
  return toHex(bytes);
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

function corrupt(reason: string): RegistryError {
  return new RegistryError("corrupt", `Cannot use a CA as ${reason}`);
}
