/**
 * Reads one certificate (RFC 5280 §4.1) from bytes of a stranger into the facts that path validation
 * judges. What is not strict DER, not version 3, or not of the two kinds of key that are taken is
 * refused here, by code; whether what is read may be believed is decided in `path_validation.ts`.
 *
 * No library reads for us: those at hand take BER for DER and need a thousand times as long.
 */
import { bytesEqual, toHex } from "../src/base/bytes.ts";
import {
  CERTIFICATE_BYTES_MAX,
  CERTIFICATE_EXTENSIONS_MAX,
  CERTIFICATE_NAMES_MAX,
} from "../src/base/limits.ts";
import { type CertificateRefusal, refusal } from "./certificate_refusal.ts";
import { type KeyAlgorithm, OID } from "./certificate_profile.ts";
import { contextConstructed, contextTag, DER_TAG, DerError, DerReader } from "./der.ts";
import { encodedPointFault, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "./ed25519.ts";
import { readRegistryIdentity, type RegistryIdentity } from "./identity_extension.ts";
import {
  type CertificateNames,
  GENERAL_NAME_TAG,
  type NameConstraints,
  readNameConstraints,
} from "./name_constraints.ts";

/** A public key in the form in which WebCrypto imports it as `raw`. */
export interface PublicKey {
  readonly algorithm: KeyAlgorithm;
  /** Ed25519: 32 bytes; P-256: 65, uncompressed. */
  readonly bytes: Uint8Array;
}

/** What a certificate says. Arrays are views of `der`, which nobody changes. */
export interface ParsedCertificate {
  readonly der: Uint8Array;
  /** What the signature is over. */
  readonly signedBytes: Uint8Array;
  readonly signatureAlgorithm: KeyAlgorithm;
  /** 64 bytes: Ed25519 as it is, ECDSA as r ‖ s. */
  readonly signature: Uint8Array;
  /** Hexadecimal, without leading zeros. */
  readonly serialNumber: string;
  /** Names in DER, compared as bytes. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Unix ms; valid in `[notBeforeMs, notAfterMs]`. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: PublicKey;
  readonly extensions: CertificateExtensions;
}

/** The extensions that are understood; absent ones are `undefined`. */
export interface CertificateExtensions {
  readonly isCa: boolean;
  /** How many CAs may follow below this one; `undefined`: any number. */
  readonly pathLength: number | undefined;
  /** Bits of `KEY_USAGE`. */
  readonly keyUsage: number | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly names: CertificateNames;
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly registryIdentity: RegistryIdentity | undefined;
  /** Object identifiers of critical extensions that are not understood. */
  readonly unknownCritical: readonly string[];
}

type MutableExtensions = {
  -readonly [Key in keyof CertificateExtensions]: CertificateExtensions[Key];
};

/** The bytes hold something that is not taken, though it may be DER. */
class Refused extends Error {
  readonly refusal: CertificateRefusal;
  constructor(refused: CertificateRefusal) {
    super(refused.message);
    this.refusal = refused;
  }
}

/**
 * Reads a certificate; any bytes give facts or a refusal, in time proportional to their number.
 *
 * @param der kept by the result, so nobody may change it.
 */
export function readCertificate(der: Uint8Array): ParsedCertificate | CertificateRefusal {
  if (der.length > CERTIFICATE_BYTES_MAX) {
    return refusal("too_large", `it has ${der.length} bytes: at most ${CERTIFICATE_BYTES_MAX}`);
  }
  try {
    return parse(der);
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    if (error instanceof DerError) return refusal("malformed", error.message);
    throw error;
  }
}

function parse(der: Uint8Array): ParsedCertificate {
  const outer = new DerReader(der);
  const certificate = outer.inside(DER_TAG.sequence);
  outer.finish();
  const signed = certificate.element(DER_TAG.sequence);
  const signedBytes = der.subarray(signed.start, signed.end);
  const outerAlgorithm = certificate.whole(DER_TAG.sequence);
  const signatureBits = certificate.bitStringBytes();
  certificate.finish();

  const fields = certificate.within(signed);
  const version = fields.inside(contextConstructed(0));
  if (version.unsigned(2) !== 2) throw new DerError("the version must be 3");
  version.finish();
  const serial = fields.unsignedBytes();
  if (serial.length > 20 || (serial.length === 1 && serial[0] === 0)) {
    throw new DerError("the serial number must have 1 to 20 bytes and not be zero");
  }
  const innerAlgorithm = fields.whole(DER_TAG.sequence);
  if (!bytesEqual(innerAlgorithm, outerAlgorithm)) throw new DerError("it names two algorithms");
  const signatureAlgorithm = readSignatureAlgorithm(innerAlgorithm);
  const issuer = readName(fields);
  const validity = fields.inside(DER_TAG.sequence);
  const notBeforeMs = validity.time();
  const notAfterMs = validity.time();
  validity.finish();
  if (notAfterMs < notBeforeMs) throw new DerError("it ends before it begins");
  const subject = readName(fields);
  const publicKey = readPublicKey(fields);
  const wrapper = fields.inside(contextConstructed(3));
  fields.finish();
  const extensions = readExtensions(wrapper.inside(DER_TAG.sequence));
  wrapper.finish();
  return {
    der,
    signedBytes,
    signatureAlgorithm,
    signature: signatureAlgorithm === "Ed25519"
      ? readEd25519Signature(signatureBits)
      : readEcdsaSignature(signatureBits),
    serialNumber: toHex(serial),
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKey,
    extensions,
  };
}

function readSignatureAlgorithm(bytes: Uint8Array): KeyAlgorithm {
  const fields = new DerReader(bytes).inside(DER_TAG.sequence);
  const oid = fields.oid();
  if (fields.done && oid === OID.ed25519) return "Ed25519";
  if (fields.done && oid === OID.ecdsaWithSha256) return "P-256";
  throw new Refused(
    refusal("algorithm", `it is signed by ${oid}: Ed25519 or ECDSA P-256 is taken`),
  );
}

/** A name, with its structure checked: SEQUENCE OF SET OF SEQUENCE { type, value }. */
function readName(fields: DerReader): Uint8Array {
  const name = fields.element(DER_TAG.sequence);
  const parts = fields.within(name);
  while (!parts.done) {
    const set = parts.inside(DER_TAG.set);
    do {
      const attribute = set.inside(DER_TAG.sequence);
      attribute.oid();
      attribute.any();
      attribute.finish();
    } while (!set.done);
  }
  return fields.bytes.subarray(name.start, name.end);
}

/** Reads a SubjectPublicKeyInfo. Throws as its caller's other readers do; exported for requests. */
export function readPublicKey(fields: DerReader): PublicKey {
  const info = fields.inside(DER_TAG.sequence);
  const algorithm = info.inside(DER_TAG.sequence);
  const oid = algorithm.oid();
  const curve = oid === OID.ecPublicKey ? algorithm.oid() : undefined;
  if (oid !== OID.ed25519 && curve !== OID.p256) {
    throw new Refused(
      refusal("algorithm", `its key is of ${curve ?? oid}: Ed25519 or P-256 is taken`),
    );
  }
  algorithm.finish();
  const bytes = info.bitStringBytes();
  info.finish();
  if (oid === OID.ed25519) {
    if (bytes.length !== PUBLIC_KEY_BYTES) throw new DerError("an Ed25519 key has 32 bytes");
    const fault = encodedPointFault(bytes);
    if (fault !== undefined) throw new Refused(refusal("weak_key", `its key is ${fault}`));
    return { algorithm: "Ed25519", bytes };
  }
  if (bytes.length !== 65 || bytes[0] !== 4) throw new DerError("a P-256 key has 65 bytes");
  return { algorithm: "P-256", bytes };
}

function readEd25519Signature(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== SIGNATURE_BYTES) throw new DerError("an Ed25519 signature has 64 bytes");
  return bytes;
}

/** ECDSA-Sig-Value as r ‖ s, the form of WebCrypto. */
function readEcdsaSignature(bytes: Uint8Array): Uint8Array {
  const outer = new DerReader(bytes);
  const fields = outer.inside(DER_TAG.sequence);
  outer.finish();
  const r = fields.unsignedBytes();
  const s = fields.unsignedBytes();
  fields.finish();
  if (r.length > 32 || s.length > 32) throw new DerError("a P-256 signature is too long");
  const signature = new Uint8Array(64);
  signature.set(r, 32 - r.length);
  signature.set(s, 64 - s.length);
  return signature;
}

function readExtensions(list: DerReader): CertificateExtensions {
  const found: MutableExtensions = {
    isCa: false,
    pathLength: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    names: { dns: [], ips: [], uris: [] },
    nameConstraints: undefined,
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    registryIdentity: undefined,
    unknownCritical: [],
  };
  const seen = new Set<string>();
  while (!list.done) {
    if (seen.size === CERTIFICATE_EXTENSIONS_MAX) throw new DerError("it has too many extensions");
    const extension = list.inside(DER_TAG.sequence);
    const oid = extension.oid();
    if (seen.has(oid)) throw new DerError(`extension ${oid} is there twice`);
    seen.add(oid);
    const critical = extension.nextTag === DER_TAG.boolean;
    if (critical && !extension.boolean()) throw new DerError("a default is written out");
    const value = extension.content(DER_TAG.octetString);
    extension.finish();
    readExtension(found, oid, critical, value);
  }
  return found;
}

function readExtension(
  found: MutableExtensions,
  oid: string,
  critical: boolean,
  value: Uint8Array,
): void {
  const reader = new DerReader(value);
  switch (oid) {
    case OID.basicConstraints:
      readBasicConstraints(found, reader.inside(DER_TAG.sequence));
      if (found.isCa && !critical) throw new DerError("basic constraints must be critical");
      break;
    case OID.keyUsage:
      found.keyUsage = reader.namedBits();
      break;
    case OID.extendedKeyUsage:
      found.extendedKeyUsage = readUsages(reader.inside(DER_TAG.sequence));
      break;
    case OID.subjectAltName:
      found.names = readNames(reader.inside(DER_TAG.sequence));
      break;
    case OID.nameConstraints:
      found.nameConstraints = readNameConstraints(reader.whole(DER_TAG.sequence));
      break;
    case OID.subjectKeyIdentifier:
      found.subjectKeyId = reader.content(DER_TAG.octetString);
      break;
    case OID.authorityKeyIdentifier: {
      const fields = reader.inside(DER_TAG.sequence);
      if (fields.nextTag === contextTag(0)) found.authorityKeyId = fields.content(contextTag(0));
      while (!fields.done) fields.any();
      break;
    }
    case OID.registryIdentity:
      found.registryIdentity = readRegistryIdentity(reader.whole(DER_TAG.sequence));
      break;
    default:
      // What is not understood is passed over, unless it must not be.
      if (critical) found.unknownCritical = [...found.unknownCritical, oid];
      return;
  }
  reader.finish();
}

function readBasicConstraints(found: MutableExtensions, fields: DerReader): void {
  if (fields.nextTag === DER_TAG.boolean) {
    found.isCa = fields.boolean();
    if (!found.isCa) throw new DerError("a default is written out");
  }
  if (!fields.done) {
    if (!found.isCa) throw new DerError("only a CA has a path length");
    found.pathLength = fields.unsigned(255);
  }
  fields.finish();
}

function readUsages(list: DerReader): string[] {
  const usages: string[] = [];
  do {
    if (usages.length === CERTIFICATE_NAMES_MAX) throw new DerError("it has too many usages");
    usages.push(list.oid());
  } while (!list.done);
  return usages;
}

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

function readNames(list: DerReader): CertificateNames {
  const dns: string[] = [], ips: Uint8Array[] = [], uris: string[] = [];
  do {
    if (dns.length + ips.length + uris.length === CERTIFICATE_NAMES_MAX) {
      throw new DerError("it has too many names");
    }
    switch (list.nextTag) {
      case GENERAL_NAME_TAG.dns: {
        const name = list.ascii(GENERAL_NAME_TAG.dns);
        // No certificate of ours has a wildcard, so no rule is needed for what one covers.
        if (!HOST_NAME.test(name)) throw new DerError("a DNS name must be a host name");
        dns.push(name);
        break;
      }
      case GENERAL_NAME_TAG.uri:
        uris.push(list.ascii(GENERAL_NAME_TAG.uri));
        break;
      case GENERAL_NAME_TAG.ip: {
        const address = list.content(GENERAL_NAME_TAG.ip);
        if (address.length !== 4 && address.length !== 16) throw new DerError("an IP name is cut");
        ips.push(address);
        break;
      }
      default:
        throw new DerError("it has a name of a form that is not understood");
    }
  } while (!list.done);
  return { dns, ips, uris };
}
