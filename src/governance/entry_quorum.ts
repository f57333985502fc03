/**
 * The quorum of an entry of the log, proven by the signatures that the entry holds. Clients that verify a
 * bundle and regions that mirror the log decide by it.
 */
import { decodeBase64 } from "../base/base64.ts";
import type { SignatureVerdict } from "../signing/ed25519_verdict.ts";
import { signingMessage } from "./documents/content_id.ts";
import type { GovernedEntry } from "./documents/entry.ts";
import type { ReadPayload } from "./documents/payload.ts";
import { type CountedApproval, missingApprovals } from "./quorum.ts";
import type { SignerHistory, SignerSet } from "./signer_set.ts";

/** An entry, and what decides whether a quorum is behind it. */
export interface QuorumProof {
  readonly entry: GovernedEntry;
  readonly read: ReadPayload;
  /** The signer sets up to the one in force. */
  readonly history: SignerHistory;
  /** The set that the payload makes the next one. */
  readonly proposed?: SignerSet | undefined;
  readonly isSigned: SignatureVerdict;
}

/** Returns why an entry has no quorum; undefined if it has one. */
export function quorumFault(
  { entry, read, history, proposed, isSigned }: QuorumProof,
): string | undefined {
  const current = history.of(entry.signers);
  if (current === undefined) return `There is no signer set ${entry.signers}`;
  const message = signingMessage(entry.contentId);
  const approvals: CountedApproval[] = [];
  for (const { signerId, signature, set } of entry.approvals) {
    const signers = set === proposed?.number ? proposed : history.of(set);
    const key = set > entry.signers && signers !== proposed
      ? undefined
      : signers?.signers.get(signerId);
    if (key === undefined || !isSigned(decodeBase64(key)!, message, signature)) {
      return `The signature of ${signerId} must be valid: it is not`;
    }
    approvals.push({ signerId, key, set });
  }
  const freezes = read.action === "freeze" && read.payload.body["frozen"] === true;
  const missing = missingApprovals(approvals, { current, proposed, freezes });
  if (missing === 0) return undefined;
  return `Entry ${entry.version} must have the signatures of a quorum: ${missing} missing`;
}
