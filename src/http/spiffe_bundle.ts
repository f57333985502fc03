/**
 * A trust bundle in SPIFFE's format (SPIFFE Trust Domain and Bundle, §4): a JWK Set of the roots, for
 * X.509-SVIDs, and of the keys of tokens, for JWT-SVIDs.
 */
import { X509Certificate } from "node:crypto";
import { encodeBase64 } from "../base/base64.ts";
import type { TrustBundle } from "../../identity/trust/trust_bundle_content.ts";

/** Seconds after which a reader should ask again: nodes publish a new bundle within a minute. */
const REFRESH_S = 60;

/** Returns the bundle. @param tokenKeys the JWK Set of the keys of tokens. */
export function spiffeBundle(
  { roots, sequence }: TrustBundle,
  { keys }: { readonly keys: readonly Readonly<Record<string, unknown>>[] },
) {
  return {
    keys: [
      ...roots.map((der) => ({
        ...new X509Certificate(der).publicKey.export({ format: "jwk" }),
        use: "x509-svid",
        x5c: [encodeBase64(der)],
      })),
      ...keys.map((key) => ({ ...key, use: "jwt-svid" })),
    ],
    spiffe_sequence: sequence,
    spiffe_refresh_hint: REFRESH_S,
  };
}
