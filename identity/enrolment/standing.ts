/**
 * Identities whose key is in a node's own files: the node itself, and the administrators, who keep
 * access when nobody else has it. They need no join token, because possession of the key identifies
 * them. Each certificate that they get is another generation for the same key, and is audited like
 * any other.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import { IDENTITY_LIFE_MS } from "../../src/base/limits.ts";
import { NO_GRANTS } from "../../src/base/peer.ts";
import {
  decideJoin,
  decideRenewal,
  DEFAULT_RENEWAL_GRACE,
  type EnrolmentDecision,
  leafOf,
  type SubjectRequest,
} from "./enrolment.ts";

/**
 * Decides a request: repeats the current certificate while half of its life is left, so that a
 * replayed request changes nothing; otherwise issues the next. A different key in the files
 * replaces the previous one.
 */
export function decideStanding(request: SubjectRequest): EnrolmentDecision {
  const { existing, publicKey, subject, signer, nowMs } = request;
  if (existing === undefined || !bytesEqual(existing.latest.publicKey, publicKey)) {
    // A token that never was in group 0; it is spent in the same change.
    const token = {
      hash: publicKey,
      version: 0,
      subject,
      grants: NO_GRANTS,
      expiresAtMs: Infinity,
    };
    const decision = decideJoin({ ...request, token });
    if (decision.kind !== "issue") return decision;
    return { ...decision, change: { lineages: decision.change.lineages } };
  }
  const { latest } = existing;
  const isSignersOwn = bytesEqual(latest.issuerKeyId, signer.keyId);
  const leftMs = latest.notAfterMs - nowMs;
  // One with more than a whole life left was issued while the clock was ahead, and is not valid yet.
  if (isSignersOwn && leftMs > IDENTITY_LIFE_MS / 2 && leftMs <= IDENTITY_LIFE_MS) {
    return { kind: "repeat", leaf: leafOf(existing, latest) };
  }
  return decideRenewal({
    lineage: existing,
    presented: { subject, generation: latest.generation, publicKey, notAfterMs: Infinity },
    publicKey,
    memberKey: undefined,
    signer,
    grace: DEFAULT_RENEWAL_GRACE,
    nowMs,
  });
}
