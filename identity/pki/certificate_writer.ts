/**
 * Makes certificates and requests for them, by `@peculiar/x509`: what `certificate_reader.ts` and
 * `certificate_request.ts` read, signed. Equal contents under an Ed25519 key give equal bytes, so that
 * a certificate can be made again instead of being kept; frozen vectors hold the library to that.
 *
 * Every choice is passed in. Where a serial number or a validity were missing, the library would take
 * the machine's chance and clock.
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

/** What a certificate is to say. */
export interface CertificateContents {
  /** 1 to 20 bytes, the first of them in `[01, 7f]`. */
  readonly serialNumber: Uint8Array;
  /** The common name of its subject, at most 64 characters. */
  readonly commonName: string;
  /** Unix ms, whole seconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: PublicKey;
  /** What is left out is not in the certificate; the key identifiers are filled in. */
  readonly extensions: ExtensionContents;
}

/**
 * Makes and signs a certificate.
 *
 * @param issuer the CA whose key it is; `undefined`: the certificate is signed by its own key.
 * @returns DER, which the caller owns.
 * @throws RegistryError `invalid_argument` for grants that are none.
 */
export async function writeCertificate(
  contents: CertificateContents,
  key: CertificateKey,
  issuer?: ParsedCertificate,
): Promise<Uint8Array> {
  const { length, 0: first = 0 } = contents.serialNumber;
  assert(length <= 20 && first > 0 && first < 0x80, "A serial number is positive and in bounds");
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

/** Makes the request for a key, without subject or attributes. @returns DER, which the caller owns. */
export async function writeCertificateRequest(key: SigningKey): Promise<Uint8Array> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys: { publicKey: key.verifying.handle, privateKey: key.handle },
    signingAlgorithm: signingAlgorithm("Ed25519"),
  }, crypto);
  return new Uint8Array(request.rawData);
}

/** A key's identifier: the first 160 bits of the SHA-256 of its bytes (RFC 7093 §2, method 1). */
export async function keyIdOf(key: PublicKey): Promise<Uint8Array> {
  const hash = await crypto.subtle.digest("SHA-256", new Uint8Array(key.bytes));
  return new Uint8Array(hash, 0, 20);
}

/** A name of one common name; empty text gives the empty name. */
function nameOf(commonName: string): Name {
  return new Name(commonName === "" ? [] : [{ [OID.commonName]: [{ utf8String: commonName }] }]);
}

/** SubjectPublicKeyInfo up to the key's bytes (RFC 8410 §4, RFC 5480 §2.1.1). */
const SPKI_PREFIX: Readonly<Record<KeyAlgorithm, Uint8Array>> = {
  "Ed25519": fromHex("302a300506032b6570032100")!,
  "P-256": fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200")!,
};

function encodePublicKey({ algorithm, bytes }: PublicKey): Uint8Array<ArrayBuffer> {
  return new Uint8Array(concatBytes([SPKI_PREFIX[algorithm], bytes]));
}
