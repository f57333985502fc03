/**
 * Temporary certificate for the raw echo, so that the baseline shares no code with the registry
 * that is compared with it: self-signed, ECDSA P-256, valid for a day.
 */
import "reflect-metadata";
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;

/** A certificate and its key, in PEM; the certificate is its own trust anchor. */
export interface EchoCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate for `localhost` and the loopback addresses. */
export async function makeEchoCertificate(): Promise<EchoCertificate> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=localhost",
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
      ]),
    ],
  });
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const base64 = btoa(String.fromCharCode(...pkcs8)).replace(/.{1,64}/g, "$&\n");
  const key = `-----BEGIN PRIVATE KEY-----\n${base64}-----END PRIVATE KEY-----\n`;
  return { cert: certificate.toString("pem"), key };
}
