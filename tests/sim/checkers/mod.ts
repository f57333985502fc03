/** All checkers of a run: invariants that must hold in every cluster, under every fault. */
import type { CheckerMaker } from "../history.ts";
import { AcknowledgedWrites } from "./acknowledged_writes.ts";
import { Bonds } from "./bonds.ts";
import { Commits } from "./commits.ts";
import { CommitIndex } from "./commit_index.ts";
import { CommittedSequence } from "./committed_sequence.ts";
import { Convergence } from "./convergence.ts";
import { Covers } from "./covers.ts";
import { DurableWords } from "./durable_words.ts";
import { Elections } from "./elections.ts";
import { IdenticalImages } from "./identical_images.ts";
import { LeaderCompleteness } from "./leader_completeness.ts";
import { Linearizability } from "./linearizability.ts";
import { LiveOwners } from "./live_owners.ts";
import { LogMatching } from "./log_matching.ts";
import { OneChange } from "./one_change.ts";
import { OneLeader } from "./one_leader.ts";
import { OneLease } from "./one_lease.ts";
import { ProvenAge } from "./proven_age.ts";
import { Quarantine } from "./quarantine.ts";
import { ReadIndex } from "./read_index.ts";
import { ReadRounds } from "./read_rounds.ts";
import { Runs } from "./runs.ts";
import { StalledLeader } from "./stalled_leader.ts";
import { Terms } from "./terms.ts";
import { TimeToLive } from "./time_to_live.ts";

/** The makers of all checkers; checkers that typically fail first come first. */
export const CHECKERS: readonly CheckerMaker[] = [
  () => new Quarantine(),
  () => new DurableWords(),
  () => new Runs(),
  () => new Terms(),
  () => new Elections(),
  () => new OneLeader(),
  () => new LogMatching(),
  () => new LeaderCompleteness(),
  () => new CommittedSequence(),
  () => new OneChange(),
  () => new CommitIndex(),
  () => new Commits(),
  (facts) => new OneLease(facts),
  () => new Bonds(),
  () => new ReadIndex(),
  (facts) => new ReadRounds(facts),
  () => new ProvenAge(),
  () => new StalledLeader(),
  () => new IdenticalImages(),
  () => new Covers(),
  (facts) => new TimeToLive(facts),
  (facts) => new LiveOwners(facts),
  () => new Linearizability(),
  () => new AcknowledgedWrites(),
  (facts) => new Convergence(facts),
];
