/** Counts of the groups of a node, for metrics and its log. They only increase. */

import { FreshnessCounts } from "./freshness_counts.ts";

/** The counts of all groups of a node. */
export class GroupCounts {
  /** Reads with a bound on their age. */
  readonly freshness = new FreshnessCounts();
  /** Elections that replicas of this node started, without those that a pre-vote ended. */
  elections = 0;
  /** Leaderships that replicas of this node took up, and those that ended. */
  leadsWon = 0;
  leadsLost = 0;
}
