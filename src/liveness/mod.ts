/**
 * Liveness of nodes: the face of this room. See `liveness.ts` for the idea, src/raft/DESIGN.md for
 * why two leaders of one group never both hold a lease.
 *
 * What the owner owes:
 *
 * 1. Each start draws a run from the node's counter, durable before the first beat; each epoch is
 *    drawn from the same counter, durable before `raiseEpoch`. Two processes never run on one folder.
 * 2. That this node may support others is durable before the first `addPeer`; the next start passes
 *    it as `mayHaveSupported`.
 * 3. Beats go to whom `dueBeats` names, looked at every `BEAT_MS` or less, in frames that say nothing
 *    else about their sender than they do. `receive` is given only what its sender is known to have sent.
 * 4. `Fortification` is the core's `LeaderSupport`. `lead` is called before any message of that term
 *    leaves, and after each change of the configuration; `stopLeading` when leadership ended.
 * 5. `fortify` is called for each reply while its frame is put together, with the epoch that the
 *    frame says this node supports; nothing else is done in between.
 * 6. A read from a leader's own state asks `hasLease` in the turn in which it reads.
 */
export type { Beat, BeatRefusal, GroupTerm } from "./beat.ts";
export type { Bond, Follower, Fortifying, Leader, Members } from "./fortification.ts";
export { Fortification } from "./fortification.ts";
export { Liveness, type LivenessNews, type LivenessOptions } from "./liveness.ts";
export type { ReplicaNodes } from "./peers.ts";
export { countedMs, LIVENESS_TIMING, type LivenessTiming, restartWaitMs } from "./timing.ts";
