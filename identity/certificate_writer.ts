/**
 * Makes certificates: what `certificate_reader.ts` reads from one, as one, signed. Equal contents under
 * an Ed25519 key give equal bytes, so that a certificate can be made again instead of being kept.
 */
import type { CertificateExtensions } from "./certificate_extensions.ts";
import type { ParsedCertificate } from "./certificate_reader.ts";
import { type CertificateKey, signWith } from "./certificate_key.ts";
import { type KeyAlgorithm, OID } from "./certificate_profile.ts";
import {
  contextConstructed,
  contextTag,
  DER_TAG,
  derAscii,
  derBits,
  derBitString,
  derElement,
  derOid,
  derTime,
  derUnsigned,
  derUnsignedBytes,
} from "./der.ts";
import { encodeRegistryIdentity } from "./identity_extension.ts";
import {
  type CertificateNames,
  encodeNameConstraints,
  GENERAL_NAME_TAG,
} from "./name_constraints.ts";
import type { PublicKey } from "./signed_structure.ts";

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

/** What the extensions of a certificate are to say. */
export type ExtensionContents = {
  readonly [
    Name in Exclude<
      keyof CertificateExtensions,
      "subjectKeyId" | "authorityKeyId" | "unknownCritical"
    >
  ]?: CertificateExtensions[Name] | undefined;
};

/**
 * Makes and signs a certificate.
 *
 * @param issuer the CA whose key it is; `undefined`: the certificate is signed by its own key.
 * @returns DER, which the caller owns.
 */
export async function writeCertificate(
  contents: CertificateContents,
  key: CertificateKey,
  issuer?: ParsedCertificate,
): Promise<Uint8Array> {
  const { algorithm } = key.publicKey;
  const subject = encodeName(contents.commonName);
  const signedBytes = derElement(
    DER_TAG.sequence,
    derElement(contextConstructed(0), derUnsigned(2)),
    derUnsignedBytes(contents.serialNumber),
    SIGNATURE_ALGORITHM[algorithm],
    // The CA's name exactly as it stands in its certificate: names are compared as bytes.
    issuer?.subject ?? subject,
    derElement(DER_TAG.sequence, derTime(contents.notBeforeMs), derTime(contents.notAfterMs)),
    subject,
    encodePublicKey(contents.publicKey),
    derElement(
      contextConstructed(3),
      derElement(DER_TAG.sequence, ...await encodeExtensions(contents, key, issuer)),
    ),
  );
  return await signStructure(signedBytes, key);
}

/** Signs a certificate's or a request's first part and joins both: SIGNED (X.509). */
export async function signStructure(
  signedBytes: Uint8Array,
  key: CertificateKey,
): Promise<Uint8Array> {
  const { algorithm } = key.publicKey;
  const signature = await signWith(key, signedBytes);
  const value = algorithm === "Ed25519" ? signature : encodeEcdsaSignature(signature);
  return derElement(
    DER_TAG.sequence,
    signedBytes,
    SIGNATURE_ALGORITHM[algorithm],
    derBitString(value),
  );
}

/** A key's identifier: the first 160 bits of the SHA-256 of its bytes (RFC 7093 §2, method 1). */
export async function keyIdOf(key: PublicKey): Promise<Uint8Array> {
  const hash = await crypto.subtle.digest("SHA-256", new Uint8Array(key.bytes));
  return new Uint8Array(hash, 0, 20);
}

const SIGNATURE_ALGORITHM: Readonly<Record<KeyAlgorithm, Uint8Array>> = {
  "Ed25519": derElement(DER_TAG.sequence, derOid(OID.ed25519)),
  "P-256": derElement(DER_TAG.sequence, derOid(OID.ecdsaWithSha256)),
};

const KEY_ALGORITHM: Readonly<Record<KeyAlgorithm, Uint8Array>> = {
  "Ed25519": derElement(DER_TAG.sequence, derOid(OID.ed25519)),
  "P-256": derElement(DER_TAG.sequence, derOid(OID.ecPublicKey), derOid(OID.p256)),
};

/** SubjectPublicKeyInfo of a key (RFC 5280 §4.1, RFC 8410 §4, RFC 5480 §2.1.1). */
export function encodePublicKey({ algorithm, bytes }: PublicKey): Uint8Array {
  return derElement(DER_TAG.sequence, KEY_ALGORITHM[algorithm], derBitString(bytes));
}

/** A name of one common name; empty text gives the empty name. */
export function encodeName(commonName: string): Uint8Array {
  if (commonName === "") return derElement(DER_TAG.sequence);
  const value = derElement(DER_TAG.utf8String, new TextEncoder().encode(commonName));
  const attribute = derElement(DER_TAG.sequence, derOid(OID.commonName), value);
  return derElement(DER_TAG.sequence, derElement(DER_TAG.set, attribute));
}

/** r ‖ s as ECDSA-Sig-Value. */
function encodeEcdsaSignature(signature: Uint8Array): Uint8Array {
  return derElement(
    DER_TAG.sequence,
    derUnsignedBytes(signature.subarray(0, 32)),
    derUnsignedBytes(signature.subarray(32)),
  );
}

async function encodeExtensions(
  { extensions, publicKey }: CertificateContents,
  key: CertificateKey,
  issuer: ParsedCertificate | undefined,
): Promise<Uint8Array[]> {
  const { extendedKeyUsage, keyUsage, names, nameConstraints, registryIdentity } = extensions;
  const list = [encodeExtension(OID.basicConstraints, true, encodeBasicConstraints(extensions))];
  const add = (oid: string, critical: boolean, value: Uint8Array) =>
    list.push(encodeExtension(oid, critical, value));
  if (keyUsage !== undefined) add(OID.keyUsage, true, derBits(keyUsage));
  if (extendedKeyUsage !== undefined) {
    add(
      OID.extendedKeyUsage,
      false,
      derElement(DER_TAG.sequence, ...extendedKeyUsage.map((usage) => derOid(usage))),
    );
  }
  if (names !== undefined) add(OID.subjectAltName, false, encodeNames(names));
  if (nameConstraints !== undefined) {
    add(OID.nameConstraints, true, encodeNameConstraints(nameConstraints));
  }
  if (registryIdentity !== undefined) {
    add(OID.registryIdentity, false, encodeRegistryIdentity(registryIdentity));
  }
  const keyId = await keyIdOf(publicKey);
  add(OID.subjectKeyIdentifier, false, derElement(DER_TAG.octetString, keyId));
  if (issuer !== undefined) {
    const issuerKeyId = issuer.extensions.subjectKeyId ?? await keyIdOf(key.publicKey);
    add(
      OID.authorityKeyIdentifier,
      false,
      derElement(DER_TAG.sequence, derElement(contextTag(0), issuerKeyId)),
    );
  }
  return list;
}

function encodeExtension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  return derElement(
    DER_TAG.sequence,
    derOid(oid),
    ...(critical ? [DER_TRUE] : []),
    derElement(DER_TAG.octetString, value),
  );
}

const DER_TRUE = derElement(DER_TAG.boolean, Uint8Array.of(0xff));

function encodeBasicConstraints({ isCa, pathLength }: ExtensionContents) {
  return derElement(
    DER_TAG.sequence,
    ...(isCa ? [DER_TRUE] : []),
    ...(pathLength === undefined ? [] : [derUnsigned(pathLength)]),
  );
}

function encodeNames({ dns, ips, uris }: CertificateNames): Uint8Array {
  return derElement(
    DER_TAG.sequence,
    ...dns.map((name) => derAscii(GENERAL_NAME_TAG.dns, name)),
    ...ips.map((address) => derElement(GENERAL_NAME_TAG.ip, address)),
    ...uris.map((uri) => derAscii(GENERAL_NAME_TAG.uri, uri)),
  );
}
