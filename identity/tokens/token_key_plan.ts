/**
 * Encoding of the token key plan as group 0 stores it: JSON with the public halves only. A node
 * whose folder holds a key that the plan lacks adds it, so a rotation only takes another file in
 * the folder.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import { keyIdOf, type PlannedKey } from "./token_keys.ts";

/** Encodes a plan for group 0. */
export function planToBytes(plan: readonly PlannedKey[]): Uint8Array {
  const keys = plan.map(({ publicKey, publishedAtMs, signsFromMs, signsUntilMs }) => ({
    publicKey: encodeBase64url(publicKey),
    publishedAtMs,
    signsFromMs,
    // JSON cannot represent Infinity.
    signsUntilMs: signsUntilMs === Infinity ? null : signsUntilMs,
  }));
  return new TextEncoder().encode(JSON.stringify({ keys }));
}

/** Decodes a plan of group 0. @throws RegistryError `corrupt`. */
export function planFromBytes(bytes: Uint8Array): PlannedKey[] {
  try {
    const { keys } = JSON.parse(new TextDecoder().decode(bytes)) as {
      keys: {
        publicKey: string;
        publishedAtMs: number;
        signsFromMs: number;
        signsUntilMs: number | null;
      }[];
    };
    return keys.map(({ publicKey, publishedAtMs, signsFromMs, signsUntilMs }) => {
      const key = decodeBase64url(publicKey);
      if (key?.length !== 32) throw new Error("a key must have 32 bytes");
      return {
        keyId: keyIdOf(key),
        publicKey: key,
        publishedAtMs,
        signsFromMs,
        signsUntilMs: signsUntilMs ?? Infinity,
      };
    });
  } catch (error) {
    throw new RegistryError("corrupt", "The plan of the token keys cannot be read", {}, error);
  }
}
