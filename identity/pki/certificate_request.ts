/**
 * Certificate requests (PKCS #10, RFC 2986): a public key signed by its private key, so that nobody
 * gets a certificate for a key that they do not hold. The authority decides everything else in a
 * certificate: a request's subject is empty and its attributes are ignored.
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

/** Creates the certificate request for a key. @returns DER, owned by the caller. */
export async function createCertificateRequest(key: SigningKey): Promise<Uint8Array> {
  // Loaded on demand, so that code that only checks requests does not load the library.
  const { writeCertificateRequest } = await import("./certificate_writer.ts");
  return await writeCertificateRequest(key);
}

/**
 * Checks that a request is signed by the key that it contains.
 *
 * @returns the Ed25519 key, 32 bytes owned by the caller, or the reason for refusal.
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
    return refusal("signature", "it is not signed by the key that it contains");
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
