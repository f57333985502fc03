/**
 * Node liveness: the public interface of this folder. `liveness.ts` describes the protocol;
 * src/raft/DESIGN.md explains why two leaders of one group never both hold a lease.
 *
 * Duties of the owner:
 *
 * 1. Each start draws a run from the node's counter and makes it durable before the first beat.
 *    Each epoch is drawn from the same counter and made durable before `raiseEpoch`. Two processes
 *    never run on one folder.
 * 2. The fact that this node may support others is durable before the first `addPeer`; the next
 *    start passes it as `mayHaveSupported`.
 * 3. The owner calls `dueBeats` every `BEAT_MS` or more often, and sends a beat to each node it
 *    returns, in frames that make no other statement about their sender. It passes to `receive`
 *    only beats whose sender is authenticated.
 * 4. `Fortification` is the core's `LeaderSupport`. The owner calls `lead` before any message of
 *    that term leaves, and after each configuration change; it calls `stopLeading` when leadership
 *    ended.
 * 5. The owner calls `fortify` for each reply while it assembles the reply's frame, with the epoch
 *    that the frame names as supported by this node; nothing else happens in between.
 * 6. A read from a leader's own state calls `hasLease` in the turn in which it reads.
 */
export { Answerer, type AnsweringGroup } from "./freshness/answerer.ts";
export type { GroupProof, ProvenReplica } from "./freshness/group_proof.ts";
export type { Assertion, FreshnessRefusal, Probe, Proofs } from "./freshness/messages.ts";
export { ProbeDemand } from "./freshness/probe_demand.ts";
export { Prober } from "./freshness/prober.ts";
export { type Moment, NEVER, ProofClock } from "./freshness/proof_clock.ts";
export type { LeaderLease } from "./lease.ts";
export type { Beat, BeatRefusal, GroupTerm } from "./beat.ts";
export type {
  AppliedMembers,
  Follower,
  Fortifying,
  Leader,
  VoteRestriction,
} from "./fortification.ts";
export { Fortification } from "./fortification.ts";
export { Liveness, type LivenessNews, type LivenessOptions } from "./liveness.ts";
export type { ReplicaNodes } from "./peers.ts";
export { countedMs, LIVENESS_TIMING, type LivenessTiming, restartWaitMs } from "./timing.ts";
