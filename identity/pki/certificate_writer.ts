/**
 * Creates and signs certificates and certificate requests with `@peculiar/x509`, in the form that
 * `certificate_reader.ts` and `certificate_request.ts` read. Equal contents under an Ed25519 key
 * give equal bytes, so a certificate can be recreated instead of being stored; frozen vectors
 * verify that of the library.
 *
 * The caller supplies every value. Without a serial number or a validity the library would use its
 * own randomness and the machine's clock.
 */
import { assert } from "../../src/base/assert.ts";
import { concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import type { ParsedCertificate } from "./certificate_reader.ts";
import { type CertificateKey, signingAlgorithm } from "./certificate_key.ts";
import { type KeyAlgorithm, OID } from "./certificate_profile.ts";
import type { SigningKey } from "./ed25519.ts";
import { type ExtensionContents, extensionsOf } from "./extension_writer.ts";
import type { PublicKey } from "./signed_structure.ts";
import {
  Name,
  Pkcs10CertificateRequestGenerator,
  X509CertificateGenerator,
} from "./x509_library.ts";

/** Contents of a certificate to create. */
export interface CertificateContents {
  /** Serial number: 1 to 20 bytes, the first of them in `[01, 7f]`. */
  readonly serialNumber: Uint8Array;
  /** Common name of the subject, at most 64 characters. */
  readonly commonName: string;
  /** Unix ms, whole seconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: PublicKey;
  /** Extensions; omitted ones are not written. The key identifiers are added. */
  readonly extensions: ExtensionContents;
}

/**
 * Creates and signs a certificate.
 *
 * @param issuer the CA that owns `key`; `undefined`: the certificate is self-signed.
 * @returns DER, owned by the caller.
 * @throws RegistryError `invalid_argument` for invalid grants.
 */
export async function writeCertificate(
  contents: CertificateContents,
  key: CertificateKey,
  issuer?: ParsedCertificate,
): Promise<Uint8Array> {
  const { length, 0: first = 0 } = contents.serialNumber;
  assert(
    length <= 20 && first > 0 && first < 0x80,
    "A serial number must be positive and have at most 20 bytes",
  );
  const subject = nameOf(contents.commonName);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: toHex(contents.serialNumber),
    issuer: issuer === undefined ? subject : new Name(new Uint8Array(issuer.subject)),
    subject,
    notBefore: new Date(contents.notBeforeMs),
    notAfter: new Date(contents.notAfterMs),
    publicKey: encodePublicKey(contents.publicKey),
    signingKey: key.handle,
    signingAlgorithm: signingAlgorithm(key.publicKey.algorithm),
    extensions: extensionsOf(contents.extensions, {
      subject: await keyIdOf(contents.publicKey),
      issuer: issuer && (issuer.extensions.subjectKeyId ?? await keyIdOf(key.publicKey)),
    }),
  }, crypto);
  return new Uint8Array(certificate.rawData);
}

/**
 * Creates the certificate request for a key, without subject or attributes. @returns DER, owned by
 * the caller.
 */
export async function writeCertificateRequest(key: SigningKey): Promise<Uint8Array> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys: { publicKey: key.verifying.handle, privateKey: key.handle },
    signingAlgorithm: signingAlgorithm("Ed25519"),
  }, crypto);
  return new Uint8Array(request.rawData);
}

/**
 * Returns a key's identifier: the first 160 bits of the SHA-256 of its bytes (RFC 7093 §2, method
 * 1).
 */
export async function keyIdOf(key: PublicKey): Promise<Uint8Array> {
  const hash = await crypto.subtle.digest("SHA-256", new Uint8Array(key.bytes));
  return new Uint8Array(hash, 0, 20);
}

/** Returns a name with one common name, or the empty name for an empty text. */
function nameOf(commonName: string): Name {
  return new Name(commonName === "" ? [] : [{ [OID.commonName]: [{ utf8String: commonName }] }]);
}

/** DER prefixes of SubjectPublicKeyInfo; the key's bytes follow (RFC 8410 §4, RFC 5480 §2.1.1). */
const SPKI_PREFIX: Readonly<Record<KeyAlgorithm, Uint8Array>> = {
  "Ed25519": fromHex("302a300506032b6570032100")!,
  "P-256": fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200")!,
};

function encodePublicKey({ algorithm, bytes }: PublicKey): Uint8Array<ArrayBuffer> {
  return new Uint8Array(concatBytes([SPKI_PREFIX[algorithm], bytes]));
}
