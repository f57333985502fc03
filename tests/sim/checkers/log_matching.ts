/**
 * Log matching: if two logs of a group hold an entry with the same index and term, they hold the
 * same entry there, and the same entries before it. By induction it is sufficient to check,
 * whenever an entry is appended, that it is the same and follows an entry of the same term. Source:
 * Raft thesis, Figure 3.2.
 */
import { type AppendedEntry, type Checker, Finding, type ReplicaRef } from "../history.ts";
import { placeKey, replicaName } from "./replica_name.ts";

interface KnownEntry {
  readonly hash: number;
  readonly kind: number;
  previousTerm: number | undefined;
}

/** Compares each appended entry with the first one seen at that index and term. */
export class LogMatching implements Checker {
  readonly name = "log_matching";
  readonly #groups = new Map<number, Map<number, KnownEntry>>();

  onAppend(ref: ReplicaRef, entry: AppendedEntry): void {
    const { hash, index, kind, previousTerm, term } = entry;
    let entries = this.#groups.get(ref.group);
    if (entries === undefined) this.#groups.set(ref.group, entries = new Map());
    const key = placeKey(term, index);
    const known = entries.get(key);
    if (known === undefined) {
      entries.set(key, { hash, kind, previousTerm });
      return;
    }
    if (known.hash !== hash || known.kind !== kind) {
      this.#fail(ref, entry, "other content than in another log");
    }
    known.previousTerm ??= previousTerm;
    if (previousTerm !== undefined && previousTerm !== known.previousTerm) {
      this.#fail(
        ref,
        entry,
        `term ${previousTerm} before it, where another log has ${known.previousTerm}`,
      );
    }
  }

  #fail(ref: ReplicaRef, { index, term }: AppendedEntry, what: string): never {
    throw new Finding(
      this.name,
      `Entry ${index} of term ${term} has ${what}: appended by ${replicaName(ref)}`,
    );
  }
}
