/**
 * The authority: an offline root signs one or two intermediates of each region, and an intermediate
 * signs leaves (`certificate_profile.ts` has what each is). No certificate is made that outlives the
 * one above it. When an intermediate may sign, `intermediate_schedule.ts` says; who gets a leaf,
 * `enrolment.ts`.
 *
 * The root's key is used on a machine of its own, by the command line; a node holds the key of its
 * region's intermediate and nothing above it.
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

/** A certificate and its key as files hold them. */
export interface PemPair {
  readonly certificatePem: string;
  /** PKCS #8. */
  readonly keyPem: string;
}

/** From when to when, Unix ms; both are cut to the second that X.509 can express. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A new CA's making. */
export interface RootOptions extends Validity {
  /** Its common name; a number of its own follows, so that two of one name are told apart. */
  readonly name: string;
  readonly algorithm?: KeyAlgorithm;
  /** CAs that may follow below it; default 1: the intermediates. */
  readonly pathLength?: number;
  readonly nameConstraints?: NameConstraints;
  readonly entropy: Entropy;
}

/** An identity leaf as it was decided. */
export interface IdentityLeaf extends Validity {
  /** 16 bytes, the first of them in `[01, 7f]`. */
  readonly serialNumber: Uint8Array;
  /** SPIFFE id. */
  readonly subject: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly registryIdentity: RegistryIdentity;
}

/** Makes a root with a new key. */
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

/** A CA with its key: signs what stands below it. */
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
   * @throws RegistryError `corrupt` where certificate or key cannot be read, or is no CA's.
   */
  static async open(pair: PemPair): Promise<CertificateAuthority> {
    const [der] = decodePem("CERTIFICATE", pair.certificatePem);
    const certificate = der === undefined ? undefined : readCertificate(der);
    if (certificate === undefined || isRefusal(certificate)) {
      throw corrupt(`its certificate cannot be read: ${certificate?.message ?? "it is no PEM"}`);
    }
    if (!certificate.extensions.isCa) throw corrupt("its certificate is not that of a CA");
    return new CertificateAuthority(
      certificate,
      await openKey(pair.keyPem, certificate.publicKey),
    );
  }

  /** Makes an intermediate of a region with a new key. @throws RegistryError `invalid_argument`. */
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
   * Makes an identity's leaf. The same leaf gives the same bytes.
   *
   * @returns DER, which the caller owns.
   * @throws RegistryError `invalid_argument` where it would outlive the CA.
   */
  async issueIdentity(leaf: IdentityLeaf): Promise<Uint8Array> {
    return await this.#issue({
      serialNumber: leaf.serialNumber,
      // A subject of its own adds nothing to the SPIFFE id, and is of one length.
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

  /** Makes a server's TLS certificate with a new P-256 key. @throws RegistryError `invalid_argument`. */
  async createServer(
    options: Validity & {
      readonly commonName: string;
      readonly names: Omit<CertificateNames, "uris">;
      readonly entropy: Entropy;
    },
  ): Promise<PemPair> {
    const { key, keyPem } = await createKey("P-256", options.entropy);
    const der = await this.#issue({
      serialNumber: randomSerialNumber(options.entropy),
      commonName: options.commonName,
      ...wholeSeconds(options),
      publicKey: key.publicKey,
      extensions: {
        keyUsage: KEY_USAGE.digitalSignature,
        extendedKeyUsage: [LEAF_PROFILES.server.extendedKeyUsage],
        names: { ...options.names, uris: [] },
      },
    });
    return { certificatePem: encodePem("CERTIFICATE", der), keyPem };
  }

  /** Makes the certificate of a key that signs trust bundles. @throws RegistryError `invalid_argument`. */
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
          `is: it would be within [${iso(contents.notBeforeMs)}, ${iso(contents.notAfterMs)}]`,
        { field: "validity" },
      );
    }
    return await writeChecked(contents, this.#key, this.certificate);
  }
}

/**
 * Makes a certificate, and reads it as strangers will before anybody has it: names that no reader
 * takes, and what the library leaves out or makes anew, must not be found out by them.
 *
 * @throws RegistryError `invalid_argument` where nobody would believe it, `corrupt` where the library
 * cannot write the CA's name as it stands.
 */
async function writeChecked(
  contents: CertificateContents,
  key: CertificateKey,
  issuer?: ParsedCertificate,
): Promise<Uint8Array> {
  // Nodes that open a CA and issue nothing do without the library, and so do all who only verify.
  const { writeCertificate } = await import("../pki/certificate_writer.ts");
  const der = await writeCertificate(contents, key, issuer);
  const written = readCertificate(der);
  if (isRefusal(written)) {
    throw new RegistryError(
      "invalid_argument",
      `Cannot make a certificate that is refused (${written.fault}): ${written.message}`,
      { field: "certificate" },
    );
  }
  if (issuer !== undefined && !bytesEqual(written.issuer, issuer.subject)) {
    throw corrupt("its name is in an encoding that cannot be written");
  }
  const { registryIdentity } = contents.extensions;
  assert(
    registryIdentity?.lineage === written.extensions.registryIdentity?.lineage,
    "A certificate names the lineage that it was made for",
  );
  return der;
}

function wholeSeconds({ notBeforeMs, notAfterMs }: Validity): Validity {
  const cut = (ms: number) => Math.floor(ms / 1_000) * 1_000;
  return { notBeforeMs: cut(notBeforeMs), notAfterMs: cut(notAfterMs) };
}

/** 127 random bits, positive and not zero (RFC 5280 §4.1.2.2). */
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
