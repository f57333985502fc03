/** Strict base64 with padding (RFC 4648 §4), with one spelling per value like base64url.ts. */
import { decodeBase64url, encodeBase64url } from "./base64url.ts";

/** Encodes bytes. */
export function encodeBase64(bytes: Uint8Array): string {
  const text = encodeBase64url(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text + "=".repeat(-text.length & 3);
}

/** Decodes a text; the caller owns the bytes. Returns `undefined` if the text is not canonical. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0 || /[-_]/.test(text)) return undefined;
  const bare = text.replace(/={1,2}$/, "");
  return decodeBase64url(bare.replaceAll("+", "-").replaceAll("/", "_"));
}
