/**
 * Server certificates for tests: self-signed, ECDSA P-256, valid for at most 14 days, so that they
 * can be pinned by hash. Not the product's issuer, which is in `identity/`.
 */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { TlsCertificate } from "../../transport/transport.ts";

/** A server certificate with the data that a client needs to verify it. */
export interface TestCertificate extends TlsCertificate {
  /** SHA-256 of the certificate, 32 bytes. */
  readonly sha256: Uint8Array<ArrayBuffer>;
  /** PEM of the authority that signed it. */
  readonly caPem: string;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

function pem(label: string, bytes: ArrayBuffer): string {
  const base64 = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return `-----BEGIN ${label}-----\n${base64.replace(/.{64}/g, "$&\n")}\n-----END ${label}-----\n`;
}

/** Issues a leaf for localhost, 127.0.0.1 and ::1 under a new authority. */
export async function issueTestCertificate(days = 10): Promise<TestCertificate> {
  const now = Date.now();
  const notBefore = new Date(now - 60_000);
  const notAfter = new Date(now + days * 86_400_000);
  const usages: KeyUsage[] = ["sign", "verify"];
  const caKeys = await crypto.subtle.generateKey(algorithm, true, usages);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=test authority",
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
    keys: caKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const keys = await crypto.subtle.generateKey(algorithm, true, usages);
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: "02",
    subject: "CN=localhost",
    issuer: ca.subject,
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
      ]),
    ],
  });
  return {
    chainPem: leaf.toString("pem") + "\n",
    keyPem: pem("PRIVATE KEY", await crypto.subtle.exportKey("pkcs8", keys.privateKey)),
    sha256: new Uint8Array(await crypto.subtle.digest("SHA-256", leaf.rawData)),
    caPem: ca.toString("pem"),
  };
}
