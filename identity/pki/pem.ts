/**
 * PEM (RFC 7468): the text form of certificates and keys in files. Output has one fixed form. Input
 * may contain other text and other line lengths, because files are often joined by hand.
 */

/** Labels in the registry's files. */
export type PemLabel = "CERTIFICATE" | "PRIVATE KEY" | "CERTIFICATE REQUEST";

/** Encodes DER as PEM, with a trailing newline. */
export function encodePem(label: PemLabel, der: Uint8Array): string {
  const lines = encodeBase64(der).replace(/.{64}/g, "$&\n").trimEnd();
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** Decodes each part with this label, in order; a part that is not base64 gives `undefined`. */
export function decodePem(label: PemLabel, text: string): (Uint8Array<ArrayBuffer> | undefined)[] {
  const pattern = new RegExp(`-----BEGIN ${label}-----([^-]*)-----END ${label}-----`, "g");
  return [...text.matchAll(pattern)].map(([, body]) => decodeBase64(body!.replace(/\s/g, "")));
}

function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return undefined;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
