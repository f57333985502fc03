/** Checks a server's certificate and key before a listener uses them, for runtimes that do not. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { RegistryError } from "../src/base/errors.ts";
import type { TlsCertificate } from "./transport.ts";

/**
 * Checks that the certificate can be read and that the key belongs to it.
 *
 * @throws RegistryError `invalid_argument` with the reason.
 */
export function checkServerCertificate({ chainPem, keyPem }: TlsCertificate): void {
  try {
    if (!new X509Certificate(chainPem).checkPrivateKey(createPrivateKey(keyPem))) {
      throw new Error("the key does not match the certificate");
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `Cannot use the server certificate: ${reason}`;
    throw new RegistryError("invalid_argument", message, { field: "certificate" }, error);
  }
}
