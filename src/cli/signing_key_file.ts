/**
 * The file of a signer's key: one JSON document that only its owner may read. It is made on the signer's
 * machine and used there; no node ever reads it.
 */
import { basename } from "node:path";
import {
  createFileOnce,
  PRIVATE_FILE_MODE,
  readKeyFile,
} from "../../identity/files/private_file.ts";
import {
  generateSigningKey,
  SEED_BYTES,
  type SigningKey,
  signingKeyOfSeed,
} from "../../identity/pki/ed25519.ts";
import { decodeBase64, encodeBase64 } from "../base/base64.ts";
import type { Entropy } from "../base/world.ts";
import { SIGNATURE_ALGORITHM } from "../governance/documents/signature.ts";
import { isSignerId } from "../governance/signer_set.ts";
import { readStrictJson } from "../signing/strict_json.ts";
import { usageFailure } from "./failure.ts";

const SCHEMA = "signing-key/1";

/** A signer with its key. */
export interface SignerKey {
  readonly signerId: string;
  readonly key: SigningKey;
}

/**
 * Creates a key and its file.
 *
 * @param signerId by default the name of the file without its ending.
 */
export async function createSigningKeyFile(
  path: string,
  entropy: Entropy,
  signerId: string = basename(path).replace(/\.[^.]*$/, ""),
): Promise<SignerKey> {
  if (!isSignerId(signerId)) {
    throw usageFailure(
      `A signer's id must have letters, digits and ._:@#/- only: found ${JSON.stringify(signerId)}`,
      "Name the signer with --id, such as org:alpha#key1.",
      "id",
    );
  }
  const { key, seed } = await generateSigningKey(entropy);
  const document = {
    schema: SCHEMA,
    signer_id: signerId,
    alg: SIGNATURE_ALGORITHM,
    public_key: encodeBase64(key.verifying.bytes),
    seed: encodeBase64(seed),
  };
  const text = JSON.stringify(document, undefined, 2) + "\n";
  if (createFileOnce(path, text, PRIVATE_FILE_MODE, "key")) return { signerId, key };
  throw usageFailure(
    `Cannot write ${path} as it is there already`,
    "Choose another file: a key that is overwritten is lost.",
    "out",
  );
}

/** Reads the key of a file. */
export async function readSigningKeyFile(path: string): Promise<SignerKey> {
  const text = readKeyFile(path);
  if (text === undefined) {
    throw usageFailure(
      `There is no key ${path}`,
      "Create one: crs governance keygen --out.",
      "key",
    );
  }
  const read = readStrictJson(text, 2);
  const document = "fault" in read ? undefined : read.value as Record<string, unknown> | null;
  const { schema, signer_id: signerId, seed: seedText } = document ?? {};
  const seed = typeof seedText === "string" ? decodeBase64(seedText) : undefined;
  if (schema !== SCHEMA || typeof signerId !== "string" || seed?.length !== SEED_BYTES) {
    throw usageFailure(
      `${path} must be a signing key: it is not`,
      "Name a file that crs governance keygen wrote.",
      "key",
    );
  }
  return { signerId, key: await signingKeyOfSeed(seed) };
}
