/**
 * Identities whose key stands in a node's own files: the node itself, and the administrators, who may
 * come in when nobody else can. They need no join token, for whoever shows their key is who they are;
 * each certificate that they get is one more generation of the same key, and is audited as any other.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import { IDENTITY_LIFE_MS } from "../../src/base/limits.ts";
import { NO_GRANTS } from "../../src/base/peer.ts";
import type { Lineage } from "../../src/system/enrolment_records.ts";
import {
  decideJoin,
  decideRenewal,
  DEFAULT_RENEWAL_GRACE,
  type EnrolmentDecision,
  leafOf,
  type Signer,
} from "./enrolment.ts";

/** A request for the next certificate of a standing key. */
export interface StandingRequest {
  readonly subject: string;
  /** The key, proven to be the requester's. */
  readonly publicKey: Uint8Array;
  /** The lineage that the subject has, or `undefined`. */
  readonly existing: Lineage | undefined;
  /** The number for a new lineage. */
  readonly nextLineage: number;
  readonly signer: Signer;
  readonly nowMs: number;
}

/**
 * Decides on a standing key: the certificate that it has, while half of its life is left, so that a
 * request that is played again changes nothing; else the next. Another key in the files takes the
 * place of the one before.
 */
export function decideStanding(request: StandingRequest): EnrolmentDecision {
  const { existing, publicKey, subject, signer, nowMs } = request;
  if (existing === undefined || !bytesEqual(existing.latest.publicKey, publicKey)) {
    // A token that never was in group 0, spent in the change that first puts it there.
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
  if (isSignersOwn && latest.notAfterMs - nowMs > IDENTITY_LIFE_MS / 2) {
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
