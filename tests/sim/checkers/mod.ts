/** All checkers of a run: what must hold in every cluster, whatever breaks. */
import type { Checker, RunFacts } from "../history.ts";
import { AcknowledgedWrites } from "./acknowledged_writes.ts";
import { CommitIndex } from "./commit_index.ts";
import { CommittedSequence } from "./committed_sequence.ts";
import { Convergence } from "./convergence.ts";
import { IdenticalImages } from "./identical_images.ts";
import { LeaderCompleteness } from "./leader_completeness.ts";
import { Linearizability } from "./linearizability.ts";
import { LogMatching } from "./log_matching.ts";
import { OneLeader } from "./one_leader.ts";
import { OneLease } from "./one_lease.ts";
import { Quarantine } from "./quarantine.ts";
import { Terms } from "./terms.ts";
import { TimeToLive } from "./time_to_live.ts";

/** New checkers for one run; what breaks first stands first. */
export function allCheckers(facts: RunFacts): Checker[] {
  return [
    new Quarantine(),
    new Terms(),
    new OneLeader(),
    new LogMatching(),
    new LeaderCompleteness(),
    new CommittedSequence(),
    new CommitIndex(),
    new OneLease(facts),
    new IdenticalImages(),
    new TimeToLive(facts),
    new Linearizability(),
    new AcknowledgedWrites(),
    new Convergence(facts),
  ];
}
