/**
 * Majorities and joint majorities: the committed index and the result of a vote.
 *
 * Pure functions over ascending lists of voters. An empty half of a configuration agrees to
 * everything, so a joint configuration with one empty half decides like the other half. Source:
 * thesis §3.6.2 (commit by match index), §4.3 (joint consensus).
 */

/** The result of an election so far. */
export type VoteResult = "pending" | "lost" | "won";

/** The voters of both halves; `votersOutgoing` is empty outside of joint consensus. */
export interface Voters {
  readonly voters: readonly number[];
  readonly votersOutgoing: readonly number[];
}

/** Returns the index that `voter` acknowledged; 0 for none. */
export type AckedIndex = (voter: number) => number;

/**
 * Returns the vote of `voter`: true if granted, false if refused, undefined if there is none yet.
 */
export type VoteOf = (voter: number) => boolean | undefined;

/** Returns how many of `voterCount` voters form a majority. */
export function majorityOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/** Returns the highest index that a majority acknowledged; infinity if there are no voters. */
export function majorityCommitted(voters: readonly number[], acked: AckedIndex): number {
  const count = voters.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  if (count === 1) return acked(voters[0]!);
  if (count === 3) return medianOfThree(acked(voters[0]!), acked(voters[1]!), acked(voters[2]!));
  const indexes = voters.map(acked).sort((left, right) => right - left);
  return indexes[majorityOf(count) - 1]!;
}

/** Most groups have three voters, and this runs on every acknowledgement. */
function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/** Returns the highest index that both halves committed. */
export function committedIndex(config: Voters, acked: AckedIndex): number {
  return Math.min(
    majorityCommitted(config.voters, acked),
    majorityCommitted(config.votersOutgoing, acked),
  );
}

/** Returns the result of the vote in one half. */
export function majorityVote(voters: readonly number[], voteOf: VoteOf): VoteResult {
  if (voters.length === 0) return "won";
  let yes = 0;
  let missing = 0;
  for (const voter of voters) {
    const vote = voteOf(voter);
    if (vote === undefined) missing++;
    else if (vote) yes++;
  }
  const needed = majorityOf(voters.length);
  if (yes >= needed) return "won";
  return yes + missing >= needed ? "pending" : "lost";
}

/** Returns the result of the vote: won if won in both halves, lost if lost in either. */
export function voteResult(config: Voters, voteOf: VoteOf): VoteResult {
  const incoming = majorityVote(config.voters, voteOf);
  const outgoing = majorityVote(config.votersOutgoing, voteOf);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}

/** Reports whether `id` votes in either half. */
export function isVoter(config: Voters, id: number): boolean {
  return config.voters.includes(id) || config.votersOutgoing.includes(id);
}

/** Returns the voters of both halves, ascending, each once. */
export function allVoters(config: Voters): readonly number[] {
  if (config.votersOutgoing.length === 0) return config.voters;
  const ids = new Set([...config.voters, ...config.votersOutgoing]);
  return [...ids].sort((left, right) => left - right);
}
