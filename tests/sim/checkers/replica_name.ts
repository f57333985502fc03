/** How findings name a replica, and how checkers do. */
import type { ReplicaRef } from "../history.ts";

/** For people. */
export function replicaName({ node, group, replica }: ReplicaRef): string {
  return `replica ${replica} of group ${group} on node ${node}`;
}

/** One key for each place in a group's log; terms stay below 2^21 and indexes below 2^32 here. */
export function placeKey(term: number, index: number): number {
  return term * 0x1_0000_0000 + index;
}
