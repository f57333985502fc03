/**
 * What one node says to another about support. Regular beats and answers are alike: each carries the
 * sender's wish for support, what it gives itself, and what it heard last, so that any of them may be
 * lost. It is taken once and in the order of its sequence; what comes late or twice says nothing.
 */
import { BEAT_GROUPS_MAX } from "../base/limits.ts";

/** One term of one group. */
export interface GroupTerm {
  readonly group: number;
  readonly term: number;
}

/** One beat. All numbers are integers in `[0, 2^53)`. */
export interface Beat {
  /** The sender's run: higher at each of its starts. From 1. */
  readonly run: number;
  /** Grows by one with each beat of this run to this recipient. From 1. */
  readonly sequence: number;
  /** The recipient's run that `echo` and `granted` are of; 0: none was heard of. */
  readonly echoRun: number;
  /** The highest sequence of the recipient that the sender took; 0: none. */
  readonly echo: number;
  /** The epoch under which the sender asks for support. From 1. */
  readonly epoch: number;
  /** The recipient's epoch that the sender supports now; 0: none. */
  readonly supports: number;
  /** The recipient's beat that this support runs from; 0: none. Never above `echo`. */
  readonly granted: number;
  /** The recipient's highest epoch that the sender will never support (again); 0: none. */
  readonly refused: number;
  /** Promises of the recipient that the sender counts (see `digest.ts`): how many, and their hash. */
  readonly promiseCount: number;
  readonly promiseHash: number;
  /** The sender leads none of these groups in this term or an earlier one (any more). */
  readonly released: readonly GroupTerm[];
  /** The sender follows the recipient in these, and asks whether it still leads. */
  readonly asked: readonly GroupTerm[];
}

/** Why a beat is not taken. */
export type BeatRefusal = "unknown_peer" | "malformed";

const UINT32_MAX = 0xffff_ffff;

/** Whether the numbers of `beat` can be: in their bounds, and not against each other. */
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
