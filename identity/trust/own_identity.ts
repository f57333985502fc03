/**
 * A program's own identity: its leaf with the chain to a root, and the key. It is checked once,
 * when it is loaded or renewed, so that a handshake only presents it.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { isRefusal, refusedCertificate } from "../pki/certificate_refusal.ts";
import type { SigningKey } from "../pki/ed25519.ts";
import { validateIdentity } from "../pki/path_validation.ts";
import { provenIdentity } from "./proven_identity.ts";
import type { ProvenIdentity } from "../registry_auth/mod.ts";
import type { TrustStore } from "./trust_store.ts";

/** An identity with its key. */
export interface OwnIdentity {
  readonly identity: ProvenIdentity;
  /** DER, the leaf first, without the root. */
  readonly chain: readonly Uint8Array[];
  readonly key: SigningKey;
}

/**
 * Checks that a chain is trusted and that the key belongs to its leaf.
 *
 * @param chain DER, the leaf first; kept. A root at its end is omitted.
 * @throws RegistryError `unauthenticated` if peers would refuse the chain; `invalid_argument` if
 * the key belongs to another certificate.
 */
export async function openOwnIdentity(options: {
  readonly chain: readonly Uint8Array[];
  readonly key: SigningKey;
  readonly trust: TrustStore;
  /** Unix ms. */
  readonly nowMs: number;
}): Promise<OwnIdentity> {
  const { chain, key, trust, nowMs } = options;
  const validated = await validateIdentity({ chain, trust, nowMs });
  if (isRefusal(validated)) throw refusedCertificate(validated);
  if (!bytesEqual(validated.publicKey, key.verifying.bytes)) {
    throw new RegistryError(
      "invalid_argument",
      `The key does not belong to the certificate of ${validated.subject}`,
      { field: "key" },
    );
  }
  const isRoot = (der: Uint8Array) => trust.roots.some((root) => bytesEqual(root.der, der));
  return {
    identity: provenIdentity(validated),
    chain: chain.filter((der) => !isRoot(der)),
    key,
  };
}
