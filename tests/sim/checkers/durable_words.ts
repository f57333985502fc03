/**
 * Messages are sent only after the state they report is durable: a vote after it is on disk, an
 * acknowledgement after the term and all entries up to its index are. Durable entries may be
 * truncated by a later term before the end of the turn, when the messages about them are sent.
 * Source: Raft thesis §3.8.
 */
import { type Checker, Finding, type ReplicaRef, type Words } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** Compares the messages of replicas with the state that a restart would find. */
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
