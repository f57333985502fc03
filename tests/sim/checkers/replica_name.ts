/** Names of replicas, in findings and within checkers. */
import type { ReplicaRef } from "../history.ts";

/** Returns a replica's name for messages. */
export function replicaName({ node, group, replica }: ReplicaRef): string {
  return `replica ${replica} of group ${group} on node ${node}`;
}

/**
 * Returns one key for each place in a group's log; terms stay below 2^21 and indexes below 2^32
 * here.
 */
export function placeKey(term: number, index: number): number {
  return term * 0x1_0000_0000 + index;
}
