/**
 * Probes and their answers: the messages between two nodes about the age of what the replicas of one
 * hold. A probe asks the other node what it leads; the answer names what changed since the previous
 * answer of the same epoch, and asserts everything else anew without naming it.
 */
import { PROOF_CHANGES_MAX } from "../../base/limits.ts";

/** A question to a node that may lead groups. All numbers are integers in `[0, 2^53)`. */
export interface Probe {
  /** The epoch of the answers that the sender holds; a higher one asks for a full list. From 1. */
  readonly epoch: number;
  /** Grows by one with each probe of a run to the recipient. From 1. */
  readonly sequence: number;
}

/** An assertion about one group. */
export interface Assertion {
  readonly groupId: number;
  /** The term in which it leads; 0 if it asserts nothing of the group any more. */
  readonly term: number;
  readonly commitIndex: number;
}

/** The answer to a probe. */
export interface Proofs {
  /** The run of the node that probed. */
  readonly run: number;
  /** Epoch and sequence of the probe. */
  readonly epoch: number;
  readonly sequence: number;
  /** The number of the full list that the answers began with, used once in a run of the sender. */
  readonly list: number;
  /** Grows by one with each answer; 1 in the first, which lists all groups. */
  readonly counter: number;
  /** Whether the sender holds no leases at all, and so can prove nothing. */
  readonly leasesOff: boolean;
  readonly changes: readonly Assertion[];
}

/** The reason for which a message is refused. */
export type FreshnessRefusal = "unknown_peer" | "malformed";

/** Reports whether the numbers of a probe are within their bounds. */
export function isProbe({ epoch, sequence }: Probe): boolean {
  return isPositive(epoch) && isPositive(sequence);
}

/** Reports whether the numbers of an answer are within their bounds and fit each other. */
export function isProofs(proofs: Proofs): boolean {
  const { run, epoch, sequence, list, counter, leasesOff, changes } = proofs;
  if (!isPositive(run) || !isPositive(epoch) || !isPositive(sequence)) return false;
  if (!isPositive(list) || !isPositive(counter) || changes.length > PROOF_CHANGES_MAX) return false;
  if (leasesOff && changes.some(({ term }) => term !== 0)) return false;
  return changes.every(({ term, commitIndex }) => {
    return term === 0 ? commitIndex === 0 : isPositive(term) && isPositive(commitIndex);
  });
}

function isPositive(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}
