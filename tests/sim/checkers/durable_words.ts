/**
 * Nothing is said before it is durable: a vote leaves when it is on the disk, an acknowledgement when
 * the term and all entries up to its index are. What was durable may be cut by a later term before the
 * turn's end, when the words about it leave. Source: Raft thesis §3.8.
 */
import { type Checker, Finding, type ReplicaRef, type Words } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** Compares what replicas say with what a restart would find. */
export class DurableWords implements Checker {
  readonly name = "durable_words";

  onWords(ref: ReplicaRef, { disk, index, kind, term, to }: Words): void {
    if (kind !== "vote" && kind !== "acknowledgement") return;
    const isTermKnown = disk.term >= term;
    const isKnown = kind === "vote"
      ? disk.term > term || (isTermKnown && disk.vote === to)
      : disk.term > term || (isTermKnown && disk.lastIndex >= index);
    if (isKnown) return;
    const what = kind === "vote"
      ? `voted for replica ${to} in term ${term}`
      : `acknowledged entries up to ${index} in term ${term}`;
    const name = replicaName(ref);
    throw new Finding(
      this.name,
      `${name[0]!.toUpperCase()}${name.slice(1)} ${what}, and a restart would find term ` +
        `${disk.term}, a vote for ${disk.vote}, and entries up to ${disk.lastIndex}`,
    );
  }
}
