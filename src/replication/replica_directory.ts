/** Whose replicas are whose: what the system group knows, as groups ask for it. */
import type { NodeId } from "../base/ids.ts";

/** Which node a replica is of. Ids are given out once and never again. */
export interface ReplicaDirectory {
  /** Undefined: no replica has that id, or not any more; nothing is believed of it. */
  nodeOf(replica: number): NodeId | undefined;
}
