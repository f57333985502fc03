/**
 * Once faults have stopped, every group whose voters can reach a majority has one leader, and all
 * of its running members have applied all entries. The runner checks separately that it also serves
 * requests.
 */
import { type Checker, Finding, type ReplicaView, type RunEnd, type RunFacts } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** Checks once, at the end. */
export class Convergence implements Checker {
  readonly name = "convergence";
  readonly #groups: readonly number[];

  constructor({ groups }: Pick<RunFacts, "groups">) {
    this.#groups = groups;
  }

  onEnd({ view }: RunEnd): void {
    for (const group of this.#groups) {
      const up = view.nodes.filter(({ state }) => state === "up")
        .flatMap(({ replicas }) => replicas.filter(({ ref }) => ref.group === group));
      this.#look(group, up);
    }
  }

  #look(group: number, up: readonly ReplicaView[]): void {
    const leaders = up.filter(({ role }) => role === "leader");
    const [leader] = leaders;
    if (leader === undefined || leaders.length > 1) {
      const names = leaders.map(({ ref, term }) => `${replicaName(ref)} of term ${term}`);
      throw new Finding(
        this.name,
        `Group ${group} has ${leaders.length} leaders at the end: ${names.join(", ")}`,
      );
    }
    const { applied, committed, configuration, lastIndex, ref, term } = leader;
    if (committed !== lastIndex || applied !== lastIndex) {
      throw new Finding(
        this.name,
        `The log of ${replicaName(ref)}, which leads, ends at ${lastIndex}: it is committed up ` +
          `to ${committed}, and applied up to ${applied}`,
      );
    }
    const members = new Set([
      ...configuration.voters,
      ...configuration.votersOutgoing,
      ...configuration.learners,
    ]);
    for (const replica of up) {
      if (!members.has(replica.ref.replica)) continue;
      if (replica.applied === applied && replica.term === term) continue;
      throw new Finding(
        this.name,
        `At the end ${replicaName(replica.ref)} is in term ${replica.term} and has applied ` +
          `${replica.applied}; its leader is in term ${term} and has applied ${applied}`,
      );
    }
  }
}
