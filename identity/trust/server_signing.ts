/**
 * Signing of TLS certificates of a region's nodes by its intermediate: for the node that holds its key,
 * and for others, which send their public key.
 */
import { isIP } from "node:net";
import { SERVER_CERTIFICATE_LIFE_MS } from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";
import { parseAddress } from "../../src/record/address.ts";
import type { CertificateAuthority } from "../enrolment/authority.ts";
import type { CertificateNames } from "../pki/name_constraints.ts";

/** A TLS certificate to be signed. */
export interface ServerOrder {
  /** P-256, the uncompressed point. */
  readonly publicKey: Uint8Array;
  readonly names: Omit<CertificateNames, "uris">;
  /** Unix ms. */
  readonly notBeforeMs: number;
}

/** A signed certificate and its issuer's, DER. */
export interface SignedServer {
  readonly certificate: Uint8Array;
  readonly issuer: Uint8Array;
}

/** Signs a TLS certificate. @throws RegistryError `invalid_argument` for names or a key of no use. */
export async function signServer(
  authority: CertificateAuthority,
  { publicKey, names, notBeforeMs: startMs }: ServerOrder,
  entropy: Entropy,
): Promise<SignedServer> {
  const issuer = authority.certificate;
  const notBeforeMs = Math.max(startMs, issuer.notBeforeMs);
  const certificate = await authority.issueServer({
    commonName: "Registry node",
    publicKey,
    names,
    entropy,
    notBeforeMs,
    notAfterMs: Math.min(notBeforeMs + SERVER_CERTIFICATE_LIFE_MS, issuer.notAfterMs),
  });
  return { certificate, issuer: issuer.der };
}

/** Returns the names for a TLS certificate: this machine's, and the hosts that clients dial. */
export function namesOf(
  hosts: readonly string[],
): { readonly dns: string[]; readonly ips: Uint8Array[] } {
  const all = [...new Set(["localhost", "127.0.0.1", "::1", ...hosts])];
  return {
    dns: all.filter((host) => isIP(host) === 0),
    ips: all.filter((host) => isIP(host) !== 0).map(literalBytes),
  };
}

/** Returns the address as 4 bytes (IPv4) or 16 (IPv6). */
function literalBytes(text: string): Uint8Array {
  const bytes = parseAddress(text);
  return text.includes(":") ? bytes : bytes.slice(-4);
}
