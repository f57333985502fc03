/** Converts a validated leaf to the identity that both the handshake and TLS give to a session. */
import type { ValidatedIdentity } from "../pki/path_validation.ts";
import type { ProvenIdentity } from "../registry_auth/mod.ts";

/** Returns the identity of a leaf. It expires when the leaf or a CA above it does. */
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
