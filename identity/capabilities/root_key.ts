/**
 * Root keys: the secrets under which capabilities are signed and verified. Whoever has one can make
 * any capability, so they exist only in the authority folders of nodes, never in group 0, its
 * images or backups. A capability names its key by an id, which is derived from the key and does not
 * reveal it.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import { concatBytes, toHex } from "../../src/base/bytes.ts";
import type { Entropy } from "../../src/base/world.ts";

/** Size of a root key. */
export const ROOT_KEY_BYTES = 32;
/** Size of its id: enough to tell the keys of a region apart. */
export const ROOT_KEY_ID_BYTES = 8;

/** Beginning of the file of a root key. */
const FILE_PREFIX = "crs-capability-key-";
const ID_PURPOSE = new TextEncoder().encode("crs: id of a capability root key\n");

/** A root key. */
export interface RootKey {
  /** Id in hexadecimal. */
  readonly keyId: string;
  /** The same, {@link ROOT_KEY_ID_BYTES}. */
  readonly idBytes: Uint8Array;
  /** {@link ROOT_KEY_BYTES}. */
  readonly secret: Uint8Array;
}

/** Returns the key of a secret, which it keeps. */
export function rootKeyOf(secret: Uint8Array): RootKey {
  if (secret.length !== ROOT_KEY_BYTES) {
    throw new RangeError(`A root key must have ${ROOT_KEY_BYTES} bytes: found ${secret.length}`);
  }
  const idBytes = sha256(concatBytes([ID_PURPOSE, secret])).slice(0, ROOT_KEY_ID_BYTES);
  return { keyId: toHex(idBytes), idBytes, secret };
}

/** Creates the text of a root key's file. */
export function createRootKeyText(entropy: Entropy): string {
  const secret = new Uint8Array(ROOT_KEY_BYTES);
  entropy.fill(secret);
  const text = `${FILE_PREFIX}${encodeBase64url(secret)}\n`;
  secret.fill(0);
  return text;
}

/** Returns the key of a file's text, or `undefined` if it holds none. */
export function rootKeyOfText(text: string): RootKey | undefined {
  const line = text.replace(/\r?\n$/, "");
  if (!line.startsWith(FILE_PREFIX)) return undefined;
  const secret = decodeBase64url(line.slice(FILE_PREFIX.length));
  return secret?.length === ROOT_KEY_BYTES ? rootKeyOf(secret) : undefined;
}
