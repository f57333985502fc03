/**
 * Majorities and joint majorities: what is committed, and how a vote stands.
 *
 * Pure functions over ascending lists of voters. The empty half of a configuration agrees to
 * everything, so that a joint configuration with one empty half decides like the other half.
 * Source: thesis §3.6.2 (commit by match index), §4.3 (joint consensus).
 */

/** Where an election stands. */
export type VoteResult = "pending" | "lost" | "won";

/** The voters of both halves; `outgoing` is empty outside of joint consensus. */
export interface Voters {
  readonly voters: readonly number[];
  readonly votersOutgoing: readonly number[];
}

/** What `voter` acknowledged; 0: nothing. */
export type AckedIndex = (voter: number) => number;

/** A vote: true yes, false no, undefined none yet. */
export type VoteOf = (voter: number) => boolean | undefined;

/** How many of `voterCount` make a majority. */
export function majorityOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/** The highest index that a majority acknowledged; infinite for no voters. */
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

/** The highest index that both halves committed. */
export function committedIndex(config: Voters, acked: AckedIndex): number {
  return Math.min(
    majorityCommitted(config.voters, acked),
    majorityCommitted(config.votersOutgoing, acked),
  );
}

/** How the vote stands in one half. */
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

/** How the vote stands: won in both halves, or lost in one. */
export function voteResult(config: Voters, voteOf: VoteOf): VoteResult {
  const incoming = majorityVote(config.voters, voteOf);
  const outgoing = majorityVote(config.votersOutgoing, voteOf);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}

/** True where `id` votes in either half. */
export function isVoter(config: Voters, id: number): boolean {
  return config.voters.includes(id) || config.votersOutgoing.includes(id);
}

/** All voters of both halves, ascending, each once. */
export function allVoters(config: Voters): readonly number[] {
  if (config.votersOutgoing.length === 0) return config.voters;
  const ids = new Set([...config.voters, ...config.votersOutgoing]);
  return [...ids].sort((left, right) => left - right);
}
