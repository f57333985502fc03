/**
 * Certificate requests (PKCS #10, RFC 2986): the public key that a certificate is wanted for, signed by
 * its private one, so that nobody is given a certificate for a key that is not theirs. Everything
 * else that a certificate says is the authority's to decide: a request's subject is empty, and its
 * attributes are not looked at.
 */
import { CERTIFICATE_REQUEST_BYTES_MAX } from "../../src/base/limits.ts";
import { type CertificateRefusal, isRefusal, refusal } from "./certificate_refusal.ts";
import { isSignedBy } from "./certificate_signature.ts";
import { contextConstructed, DerError } from "./der.ts";
import { publicKeyFault, type SigningKey } from "./ed25519.ts";
import {
  type OpenStructure,
  type PublicKey,
  readName,
  readPublicKey,
  readStructure,
} from "./signed_structure.ts";

/** Makes the request for a key. @returns DER, which the caller owns. */
export async function createCertificateRequest(key: SigningKey): Promise<Uint8Array> {
  // Whoever only checks requests does without the library.
  const { writeCertificateRequest } = await import("./certificate_writer.ts");
  return await writeCertificateRequest(key);
}

/**
 * The key of a request that its owner signed.
 *
 * @returns 32 bytes of an Ed25519 key, which the caller owns, or why there is none.
 */
export async function checkCertificateRequest(
  der: Uint8Array,
): Promise<{ readonly publicKey: Uint8Array } | CertificateRefusal> {
  const request = readStructure(der, CERTIFICATE_REQUEST_BYTES_MAX, (signed) => ({
    ...signed,
    publicKey: readKey(signed),
  }));
  if (isRefusal(request)) return request;
  const { algorithm, bytes } = request.publicKey;
  if (algorithm !== "Ed25519") return refusal("algorithm", "an identity's key must be Ed25519");
  const fault = publicKeyFault(bytes);
  if (fault !== undefined) return refusal("weak_key", `its key is ${fault}`);
  if (!(await isSignedBy(request, request.publicKey))) {
    return refusal("signature", "it is not signed by the key that it is for");
  }
  return { publicKey: bytes.slice() };
}

function readKey({ fields }: OpenStructure): PublicKey {
  if (fields.unsigned(0) !== 0) throw new DerError("the version must be 1");
  readName(fields);
  const publicKey = readPublicKey(fields);
  fields.element(contextConstructed(0));
  fields.finish();
  return publicKey;
}
