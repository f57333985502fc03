/** From a validated leaf to the identity that handshake and TLS alike hand to a session. */
import type { ValidatedIdentity } from "../pki/path_validation.ts";
import type { ProvenIdentity } from "../registry_auth/mod.ts";

/** What the leaf says of its holder. It counts until it or a CA above it ends. */
export function provenIdentity(leaf: ValidatedIdentity): ProvenIdentity {
  const { subject, spiffe, lineage, grants, sha256, publicKey, expiresAtMs } = leaf;
  return {
    subject,
    subjectId: spiffe.subjectId,
    role: spiffe.role,
    region: spiffe.region,
    lineage,
    grants,
    leafHash: sha256,
    publicKey,
    notAfterMs: expiresAtMs,
  };
}
