/**
 * Beats: the messages between two nodes about support. Regular beats and replies have the same
 * form: each carries the sender's request for support, the support it gives, and the last beat it
 * received, so any of them may be lost. A beat is accepted once and in order of its sequence; late
 * or repeated beats have no effect.
 */
import { BEAT_GROUPS_MAX } from "../base/limits.ts";

/** One term of one group. */
export interface GroupTerm {
  readonly group: number;
  readonly term: number;
}

/** One beat. All numbers are integers in `[0, 2^53)`. */
export interface Beat {
  /** The sender's run, higher at each of its starts. From 1. */
  readonly run: number;
  /** Sequence number; grows by one with each beat of this run to this recipient. From 1. */
  readonly sequence: number;
  /** The recipient's run that `echo` and `granted` refer to; 0 if nothing was heard from it. */
  readonly echoRun: number;
  /** The highest sequence of the recipient that the sender accepted; 0 for none. */
  readonly echo: number;
  /** The epoch under which the sender asks for support. From 1. */
  readonly epoch: number;
  /** The recipient's epoch that the sender supports now; 0 for none. */
  readonly supports: number;
  /** The recipient's beat from which this support runs; 0 for none. Never above `echo`. */
  readonly granted: number;
  /** The recipient's highest epoch that the sender will never support (again); 0 for none. */
  readonly refused: number;
  /** Count and hash of the recipient's promises that the sender counts (see `digest.ts`). */
  readonly promiseCount: number;
  readonly promiseHash: number;
  /** Groups that the sender does not lead in this term or an earlier one (any more). */
  readonly released: readonly GroupTerm[];
  /** Groups in which the sender follows the recipient, and asks whether it still leads. */
  readonly asked: readonly GroupTerm[];
}

/** The reason for which a beat is refused. */
export type BeatRefusal = "unknown_peer" | "malformed";

const UINT32_MAX = 0xffff_ffff;

/** Reports whether the numbers of `beat` are within their bounds and consistent with each other. */
export function isBeat(beat: Beat): boolean {
  const { run, sequence, echoRun, echo, epoch, supports, granted, refused } = beat;
  if (!isCount(run) || !isCount(sequence) || !isCount(echoRun) || !isCount(echo)) return false;
  if (!isCount(epoch) || !isCount(supports) || !isCount(granted) || !isCount(refused)) return false;
  if (run === 0 || sequence === 0 || epoch === 0 || granted > echo) return false;
  if ((echoRun === 0) !== (echo === 0)) return false;
  if (supports !== 0 && (granted === 0 || supports <= refused)) return false;
  if (!isCount(beat.promiseCount) || !isCount(beat.promiseHash)) return false;
  return beat.promiseHash <= UINT32_MAX && areGroupTerms(beat.released) &&
    areGroupTerms(beat.asked);
}

function areGroupTerms(list: readonly GroupTerm[]): boolean {
  return list.length <= BEAT_GROUPS_MAX &&
    list.every(({ group, term }) => isCount(group) && isCount(term) && term > 0);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
