/**
 * The checkers of reads that accept some age: real age <= age that the receipt states <= age accepted.
 * Real ages are those in true time, which no node knows. What the answers show is compared with all
 * writes by `sdk_checkers.ts`.
 */
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import { groupOfPartition, partitionId } from "../../../src/base/ids.ts";
import { Marks } from "../checkers/marks.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { PlacedMachine } from "./machine.ts";
import { callName, type SdkAnswer } from "./sdk_history.ts";

/**
 * A part of an answer has everything that any replica of its group knew to be committed so long before
 * it was sent as its receipt states; and a client gets no older answer than it accepts. A part without
 * an age has everything that was committed before the client called.
 */
class ProvenAge implements PlacedChecker {
  readonly name = "proven_age";
  readonly #cluster: PlacedCluster;
  readonly #commits = new Marks();

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  stepped(_machine: PlacedMachine, groups: ClusterGroups): void {
    const { nowMs } = this.#cluster;
    for (const { group } of groups.partitions) {
      this.#commits.note(group.id, nowMs, group.commitIndex);
    }
  }

  aged({ address }: PlacedMachine, partition: number, point: ReadPoint): void {
    const { nowMs } = this.#cluster;
    const committed = this.#committed(partition, nowMs - point.ageBoundMs);
    if (point.appliedIndex >= committed) return;
    throw new Finding(
      this.name,
      `Machine ${address} answers at ${nowMs.toFixed(3)} ms with index ${point.appliedIndex} of ` +
        `partition ${partition}, at most ${point.ageBoundMs} ms old as it states: ${committed} was ` +
        `committed before`,
    );
  }

  answered(answer: SdkAnswer): void {
    const { calledMs, maxStalenessMs, receipts } = answer;
    for (const { ageBoundMs, appliedIndex, node, partition } of receipts) {
      const part = `the part of partition ${partition} from node ${node}`;
      if (ageBoundMs > maxStalenessMs) {
        throw new Finding(this.name, `${callName(answer)}: ${part} is ${ageBoundMs} ms old`);
      }
      const committed = this.#committed(partition, calledMs - ageBoundMs);
      if (appliedIndex >= committed) continue;
      throw new Finding(
        this.name,
        `${callName(answer)}: ${part} has index ${appliedIndex} and states an age of at most ` +
          `${ageBoundMs} ms, but ${committed} was committed that long before the call`,
      );
    }
  }

  #committed(partition: number, beforeMs: number): number {
    return this.#commits.before(groupOfPartition(partitionId(partition)), beforeMs);
  }
}

/** Makers of these checkers. */
export const AGE_CHECKERS: readonly ((cluster: PlacedCluster) => PlacedChecker)[] = [
  (cluster) => new ProvenAge(cluster),
];
