/**
 * Signatures as JSON. Two spellings are read, `{signer_id, alg, sig_bytes, ts}` and `{signer_id, algo,
 * sig, signed_at}`; the first one is written. The time is the signer's word and not signed.
 */
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { SIGNED_AT_LENGTH_MAX, SIGNER_ID_LENGTH_MAX } from "../../base/limits.ts";
import { SIGNATURE_BYTES } from "../../signing/ed25519_verdict.ts";
import {
  exactMembers,
  invalidDocument,
  type JsonObject,
  objectOf,
  textOf,
} from "./json_members.ts";

/** The only algorithm of signatures. */
export const SIGNATURE_ALGORITHM = "ed25519";

/** A signature of a payload. */
export interface PayloadSignature {
  readonly signerId: string;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** The time that the signer states. */
  readonly signedAt: string;
}

const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ["algo", "alg"],
  ["sig", "sig_bytes"],
  ["signed_at", "ts"],
]);

/** Reads a signature in any spelling. @throws RegistryError `invalid_argument`. */
export function readSignature(value: unknown): PayloadSignature {
  const given = objectOf(value, "A signature");
  const names = Object.keys(given).map((name) => OTHER_NAMES.get(name) ?? name);
  if (new Set(names).size < names.length) {
    throw invalidDocument("A signature must have each member in one spelling: it has two");
  }
  const object = exactMembers(
    Object.fromEntries(Object.values(given).map((member, at) => [names[at]!, member])),
    "A signature",
    ["signer_id", "alg", "sig_bytes", "ts"],
  );
  if (object["alg"] !== SIGNATURE_ALGORITHM) {
    throw invalidDocument(`alg must be ${SIGNATURE_ALGORITHM}`, "alg");
  }
  const signature = decodeBase64(textOf(object, "sig_bytes", 100));
  if (signature?.length !== SIGNATURE_BYTES) {
    throw invalidDocument(`sig_bytes must be ${SIGNATURE_BYTES} bytes in base64`, "sig_bytes");
  }
  return {
    signerId: textOf(object, "signer_id", SIGNER_ID_LENGTH_MAX),
    signature,
    signedAt: textOf(object, "ts", SIGNED_AT_LENGTH_MAX),
  };
}

/** Returns a signature as JSON. */
export function signatureJson({ signerId, signature, signedAt }: PayloadSignature): JsonObject {
  return {
    signer_id: signerId,
    alg: SIGNATURE_ALGORITHM,
    sig_bytes: encodeBase64(signature),
    ts: signedAt,
  };
}
