/** Import of private keys of the curves 25519 (RFC 8410), which cannot be exported afterwards. */
import { concatBytes } from "../../src/base/bytes.ts";
import { decodeBase64url } from "../../src/base/base64url.ts";

/** DER prefix of a `PrivateKeyInfo` up to the curve's last byte, and from there to the key (§7). */
const PREFIX_TO_CURVE = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101);
const PREFIX_FROM_CURVE = Uint8Array.of(4, 34, 4, 32);

/** The curves, by the last byte of their object identifiers (RFC 8410 §3). */
const CURVES = { X25519: 110, Ed25519: 112 } as const;

/**
 * Imports a private key.
 *
 * @param secret 32 bytes, copied.
 * @returns the key, and the bytes of its public key.
 */
export async function importOkpPrivateKey(
  curve: keyof typeof CURVES,
  secret: Uint8Array,
  usage: "sign" | "deriveBits",
): Promise<{ readonly handle: CryptoKey; readonly publicBytes: Uint8Array }> {
  const parts = [PREFIX_TO_CURVE, Uint8Array.of(CURVES[curve]), PREFIX_FROM_CURVE, secret];
  const der = new Uint8Array(concatBytes(parts));
  const { subtle } = crypto;
  try {
    const readable = await subtle.importKey("pkcs8", der, curve, true, [usage]);
    const { x } = await subtle.exportKey("jwk", readable);
    const publicBytes = decodeBase64url(x ?? "");
    if (publicBytes === undefined) {
      throw new Error("The runtime gave no public key for a private one");
    }
    const handle = await subtle.importKey("pkcs8", der, curve, false, [usage]);
    return { handle, publicBytes };
  } finally {
    der.fill(0);
  }
}
