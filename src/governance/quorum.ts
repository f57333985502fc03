/**
 * The quorum: M of N signers, each of which counts once, however many keys it approved with. Server and
 * client decide by these functions.
 */
import type { SignerSet } from "./signer_set.ts";

/** An approval: a signature that was verified. */
export interface CountedApproval {
  readonly signerId: string;
  /** The public key that verified it, in base64. */
  readonly key: string;
  /** Number of the signer set that the key was taken from. */
  readonly set: number;
}

/** The decision for which a quorum is needed. */
export interface QuorumQuestion {
  /** The set that decides. */
  readonly current: SignerSet;
  /** The set that the payload would make the current one. */
  readonly proposed?: SignerSet | undefined;
  /** Whether the payload freezes the registry, for which one signer suffices. */
  readonly freezes: boolean;
}

/** Returns how many approvals are missing; 0 if there is a quorum. */
export function missingApprovals(
  approvals: readonly CountedApproval[],
  { current, proposed, freezes }: QuorumQuestion,
): number {
  if (freezes) return Math.max(0, 1 - listedApprovers(approvals, current));
  const missing = current.threshold - earlierApprovers(approvals, current);
  const missingOfNew = proposed === undefined
    ? 0
    : proposed.threshold - listedApprovers(approvals, proposed);
  return Math.max(0, missing, missingOfNew);
}

/** Counts the signers that approved with a key of this set. */
function listedApprovers(approvals: readonly CountedApproval[], set: SignerSet): number {
  const signers = new Set<string>();
  for (const { signerId, key } of approvals) {
    if (set.signers.get(signerId) === key && !set.revoked.has(key)) signers.add(signerId);
  }
  return signers.size;
}

/**
 * Counts the signers that approved with a key of this set or, before a rotation, of an earlier one. A
 * key that was revoked since does not count.
 */
function earlierApprovers(approvals: readonly CountedApproval[], current: SignerSet): number {
  const signers = new Set<string>();
  for (const { signerId, key, set } of approvals) {
    if (set <= current.number && !current.revoked.has(key)) signers.add(signerId);
  }
  return signers.size;
}
