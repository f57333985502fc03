/**
 * The common structure of certificates and certificate requests: signed content, its algorithm, the
 * signature (RFC 5280 §4.1.1), keys and names. Two algorithms are accepted, Ed25519 and ECDSA on
 * P-256 with SHA-256. All others are refused here, and so are Ed25519 keys about which verifiers
 * disagree.
 */
import { type KeyAlgorithm, OID } from "./certificate_profile.ts";
import { type CertificateRefusal, refusal } from "./certificate_refusal.ts";
import { DER_TAG, DerError, DerReader } from "./der.ts";
import { encodedPointFault, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "./ed25519.ts";

/** A public key in the form that WebCrypto imports as `raw`. */
export interface PublicKey {
  readonly algorithm: KeyAlgorithm;
  /** Ed25519: 32 bytes; P-256: 65, uncompressed. */
  readonly bytes: Uint8Array;
}

/** A signed structure. Arrays are views of its bytes. */
export interface SignedStructure {
  /** The signed bytes. */
  readonly signedBytes: Uint8Array;
  readonly signatureAlgorithm: KeyAlgorithm;
  /** 64 bytes: an Ed25519 signature unchanged, an ECDSA signature as r ‖ s. */
  readonly signature: Uint8Array;
}

/** Error for input that is refused although it may be valid DER. */
class Refused extends Error {
  readonly refusal: CertificateRefusal;
  constructor(refused: CertificateRefusal) {
    super(refused.message);
    this.refusal = refused;
  }
}

/**
 * Parses a complete structure. Any bytes give the result of `read` or a refusal, in time
 * proportional to their number.
 */
export function readStructure<T>(
  der: Uint8Array,
  bytesMax: number,
  read: (signed: OpenStructure) => T,
): T | CertificateRefusal {
  if (der.length > bytesMax) {
    return refusal("too_large", `it has ${der.length} bytes: at most ${bytesMax}`);
  }
  try {
    return read(openStructure(der));
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    if (error instanceof DerError) return refusal("malformed", error.message);
    throw error;
  }
}

/** A signed structure whose content has not been read yet. */
export interface OpenStructure extends SignedStructure {
  readonly fields: DerReader;
  /** AlgorithmIdentifier in DER, for structures that contain it twice. */
  readonly algorithmBytes: Uint8Array;
}

function openStructure(der: Uint8Array): OpenStructure {
  const outer = new DerReader(der);
  const parts = outer.inside(DER_TAG.sequence);
  outer.finish();
  const signed = parts.element(DER_TAG.sequence);
  const algorithmBytes = parts.whole(DER_TAG.sequence);
  const bits = parts.bitStringBytes();
  parts.finish();
  const signatureAlgorithm = readSignatureAlgorithm(algorithmBytes);
  return {
    fields: parts.within(signed),
    signedBytes: der.subarray(signed.start, signed.end),
    algorithmBytes,
    signatureAlgorithm,
    signature: signatureAlgorithm === "Ed25519"
      ? readEd25519Signature(bits)
      : readEcdsaSignature(bits),
  };
}

function readSignatureAlgorithm(bytes: Uint8Array): KeyAlgorithm {
  const fields = new DerReader(bytes).inside(DER_TAG.sequence);
  const oid = fields.oid();
  if (fields.done && oid === OID.ed25519) return "Ed25519";
  if (fields.done && oid === OID.ecdsaWithSha256) return "P-256";
  throw new Refused(
    refusal("algorithm", `it is signed with ${oid}: Ed25519 or ECDSA P-256 is needed`),
  );
}

/** Reads a name and checks its structure: SEQUENCE OF SET OF SEQUENCE { type, value }. */
export function readName(fields: DerReader): Uint8Array {
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

/**
 * Reads a SubjectPublicKeyInfo. @throws DerError, or an error that {@link readStructure} turns into
 * a refusal.
 */
export function readPublicKey(fields: DerReader): PublicKey {
  const info = fields.inside(DER_TAG.sequence);
  const algorithm = info.inside(DER_TAG.sequence);
  const oid = algorithm.oid();
  const curve = oid === OID.ecPublicKey ? algorithm.oid() : undefined;
  if (oid !== OID.ed25519 && curve !== OID.p256) {
    throw new Refused(
      refusal("algorithm", `its key is of type ${curve ?? oid}: Ed25519 or P-256 is needed`),
    );
  }
  algorithm.finish();
  const bytes = info.bitStringBytes();
  info.finish();
  if (oid === OID.ed25519) {
    if (bytes.length !== PUBLIC_KEY_BYTES) throw new DerError("an Ed25519 key must have 32 bytes");
    const fault = encodedPointFault(bytes);
    if (fault !== undefined) throw new Refused(refusal("weak_key", `its key is ${fault}`));
    return { algorithm: "Ed25519", bytes };
  }
  if (bytes.length !== 65 || bytes[0] !== 4) {
    throw new DerError("a P-256 key must have 65 bytes and be uncompressed");
  }
  return { algorithm: "P-256", bytes };
}

function readEd25519Signature(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== SIGNATURE_BYTES) {
    throw new DerError("an Ed25519 signature must have 64 bytes");
  }
  return bytes;
}

/** Converts an ECDSA-Sig-Value to r ‖ s, the form of WebCrypto. */
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
