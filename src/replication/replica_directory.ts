/** The assignment of replicas to nodes, which the system group maintains and groups look up. */
import type { NodeId } from "../base/ids.ts";

/** Maps replica ids to nodes. An id is assigned once and never reused. */
export interface ReplicaDirectory {
  /**
   * Returns the node of a replica; undefined if no replica has that id now. Messages of such a replica
   * must not be trusted.
   */
  nodeOf(replica: number): NodeId | undefined;
}
