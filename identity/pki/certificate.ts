/**
 * A server's own certificates: a key and its chain in PEM, the pin, the validity. Certificates of
 * others are read by `certificate_reader.ts`.
 *
 * A pin is the SHA-256 of the whole certificate in DER, as in `serverCertificateHashes` of the
 * WebTransport specification.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { RegistryError } from "../../src/base/errors.ts";
import { fromHex, toHex } from "../../src/base/bytes.ts";

/** Size of a pin in bytes. */
export const PIN_BYTES = 32;

/** A certificate and its matching private key. */
export interface KeyedCertificate {
  /** PEM, the certificate alone. */
  readonly certificatePem: string;
  /** PEM, PKCS #8. */
  readonly keyPem: string;
  /** SHA-256 of the certificate in DER, 32 bytes. */
  readonly pin: Uint8Array;
  /** Unix ms of the validity, `[notBeforeMs, notAfterMs]`. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A server certificate: its leaf with its chain. A `transport/` listener takes it unchanged. */
export interface ServerCertificate extends KeyedCertificate {
  /** PEM, the leaf first, then an intermediate that issued it. Clients know roots themselves. */
  readonly chainPem: string;
}

/**
 * Returns a certificate with its chain.
 *
 * @param intermediatePem the intermediate that issued it; empty if a root did.
 */
export function withChain(keyed: KeyedCertificate, intermediatePem: string): ServerCertificate {
  return { ...keyed, chainPem: keyed.certificatePem + intermediatePem };
}

const KEY_PATTERN = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----\n?/;
const CERTIFICATE_PATTERN = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n?/g;

/** Returns the certificates in a PEM text, each with its newline. */
export function certificatesOf(pem: string): readonly string[] {
  return pem.match(CERTIFICATE_PATTERN) ?? [];
}

/**
 * Parses a PEM text that holds one private key and one certificate.
 *
 * @returns the pair, or a description of what is wrong with the text.
 */
export function parseKeyedCertificate(pem: string): KeyedCertificate | string {
  const keyPem = KEY_PATTERN.exec(pem)?.[0];
  const [certificatePem, ...others] = certificatesOf(pem);
  if (keyPem === undefined) return "it holds no PEM private key";
  if (certificatePem === undefined || others.length > 0) {
    return `it must hold one PEM certificate: it holds ${others.length + (certificatePem ? 1 : 0)}`;
  }
  let certificate: X509Certificate;
  let key: KeyObject;
  try {
    certificate = new X509Certificate(certificatePem);
    key = createPrivateKey(keyPem);
    if (!certificate.checkPrivateKey(key)) return "its key does not belong to its certificate";
  } catch (error) {
    return `it cannot be parsed (${error instanceof Error ? error.message : String(error)})`;
  }
  return { certificatePem, keyPem, ...factsOf(certificate) };
}

/** Reports whether the certificate is signed by the CA's key and names the CA as its issuer. */
export function isIssuedBy(certificatePem: string, caPem: string): boolean {
  const certificate = new X509Certificate(certificatePem);
  const ca = new X509Certificate(caPem);
  return ca.ca && certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
}

function factsOf(
  certificate: X509Certificate,
): Pick<KeyedCertificate, "pin" | "notBeforeMs" | "notAfterMs"> {
  const pin = fromHex(certificate.fingerprint256.replaceAll(":", ""));
  const notBeforeMs = Date.parse(certificate.validFrom);
  const notAfterMs = Date.parse(certificate.validTo);
  if (pin?.length !== PIN_BYTES || Number.isNaN(notBeforeMs) || Number.isNaN(notAfterMs)) {
    throw new Error("its validity cannot be read");
  }
  return { pin, notBeforeMs, notAfterMs };
}

/** Formats a pin as `sha256:` and 64 hexadecimal digits. */
export function formatPin(pin: Uint8Array): string {
  return "sha256:" + toHex(pin);
}

/**
 * Parses a pin: an optional `sha256:` and 64 hexadecimal digits, with colons allowed between them
 * as other tools print them. The caller owns the bytes.
 *
 * @throws RegistryError `invalid_argument` if the text is not a pin.
 */
export function parsePin(text: string, field = "pin"): Uint8Array {
  const pin = fromHex(text.replace(/^sha256:/i, "").replaceAll(":", ""));
  if (pin?.length !== PIN_BYTES) {
    throw new RegistryError(
      "invalid_argument",
      `${field} must be sha256: and 64 hexadecimal digits: found ${
        JSON.stringify(text.slice(0, 80))
      }`,
      { field },
    );
  }
  return pin;
}
