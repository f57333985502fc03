/**
 * Certificates that bridge the time until group 0 has a leader. The certificates of nodes live for an
 * hour; after a longer outage of the whole cluster nobody could vote, and so nobody could record the next
 * certificate. A node that has the authority's keys then signs one without a record: of the same key,
 * lineage and generation as the one that has ended, so that the next renewal continues from it.
 */
import { IDENTITY_BACKDATE_MS, IDENTITY_LIFE_MS } from "../../base/limits.ts";
import type { Grants } from "../../base/peer.ts";
import type { Entropy, WallClock } from "../../base/world.ts";
import type { IdentityAuthority } from "./identity_authority.ts";

/** The facts of a certificate that has ended. */
export interface EndedCertificate {
  readonly subject: string;
  readonly lineage: number;
  readonly generation: number;
  readonly grants: Grants;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** Signs a certificate like one that has ended. @returns the chain, leaf first. @throws RegistryError */
export async function bridgingChain(
  authority: IdentityAuthority,
  { subject, publicKey, ...registryIdentity }: EndedCertificate,
  { wall, entropy }: { readonly wall: WallClock; readonly entropy: Entropy },
): Promise<readonly Uint8Array[]> {
  const { lineage, generation, grants } = registryIdentity;
  const nowMs = wall.unixMs();
  const { keyId: issuerKeyId, notBeforeMs, notAfterMs } = authority.signer(nowMs);
  const serialNumber = new Uint8Array(16);
  entropy.fill(serialNumber);
  serialNumber[0] = (serialNumber[0]! & 0x3f) | 0x40;
  return await authority.issue({
    serialNumber,
    subject,
    publicKey,
    notBeforeMs: Math.max(nowMs - IDENTITY_BACKDATE_MS, notBeforeMs),
    notAfterMs: Math.min(nowMs + IDENTITY_LIFE_MS, notAfterMs),
    issuerKeyId,
    registryIdentity: { lineage, generation, grants },
  });
}
