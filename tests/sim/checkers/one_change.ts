/**
 * One change of the configuration at a time: a leader appends a change only after it has applied
 * all earlier changes in its log. Source: Raft thesis §4.1, §4.3.
 */
import {
  type AppendedEntry,
  type Checker,
  Finding,
  type NodeView,
  type ReplicaRef,
  type ReplicaView,
} from "../history.ts";
import { ENTRY_CONF_CHANGE, ENTRY_CONF_CHANGE_V1 } from "../../../src/replication/log_entry.ts";
import { replicaName } from "./replica_name.ts";

/** A change of the configuration in a log. */
interface Change {
  readonly index: number;
  readonly term: number;
}

/** Checks a leader that has appended a change. */
export class OneChange implements Checker {
  readonly name = "one_change";
  readonly #changes = new Map<ReplicaRef, Change[]>();
  /** Replicas that appended a change since they were last checked. */
  readonly #fresh = new Set<ReplicaRef>();

  onAppend(ref: ReplicaRef, { index, kind, term }: AppendedEntry): void {
    const changes = this.#changes.get(ref) ?? [];
    // The entries at and above this index were replaced.
    while (changes.length > 0 && changes.at(-1)!.index >= index) changes.pop();
    if (kind !== ENTRY_CONF_CHANGE && kind !== ENTRY_CONF_CHANGE_V1) return;
    this.#changes.set(ref, [...changes, { index, term }]);
    this.#fresh.add(ref);
  }

  afterStep({ replicas }: NodeView): void {
    for (const replica of replicas) {
      if (this.#fresh.delete(replica.ref) && replica.role === "leader") this.#look(replica);
    }
  }

  #look({ applied, ref, term }: ReplicaView): void {
    const changes = this.#changes.get(ref)!;
    const last = changes.at(-1);
    const before = changes.at(-2);
    // Changes of earlier leaders are not this leader's.
    if (last?.term !== term || before === undefined || before.index <= applied) return;
    throw new Finding(
      this.name,
      `The leader of term ${term} appended a change at ${last.index}, and had applied only ` +
        `${applied} where one stands at ${before.index}: ${replicaName(ref)}`,
    );
  }
}
