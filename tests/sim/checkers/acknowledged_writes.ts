/**
 * Acknowledged writes are durable: every write that was acknowledged to a client is in the
 * committed sequence at the acknowledged place, and at the end each key holds the value of the last
 * of them, or the value of a write whose outcome no client learned.
 */
import { type AppliedEntry, type Checker, Finding, type Operation } from "../history.ts";
import type { ReplicaRef, RunEnd } from "../history.ts";
import { operationName } from "./linearizability.ts";

interface KeyWrites {
  /** The acknowledged write of the highest index. */
  last: Operation | undefined;
  readonly unknown: Operation[];
}

/** Collects writes and the committed sequence, and compares them at the end. */
export class AcknowledgedWrites implements Checker {
  readonly name = "acknowledged_writes";
  readonly #acknowledged: Operation[] = [];
  /** Terms of the commands applied, by group and index. */
  readonly #terms = new Map<number, Map<number, number>>();
  readonly #keys = new Map<string, KeyWrites>();

  onApply(ref: ReplicaRef, { index, term }: AppliedEntry): void {
    let terms = this.#terms.get(ref.group);
    if (terms === undefined) this.#terms.set(ref.group, terms = new Map());
    if (!terms.has(index)) terms.set(index, term);
  }

  onOperation(operation: Operation): void {
    const { end, index, isLongLived, key, kind } = operation;
    if (kind === "get" || kind === "renew") return;
    if (end === "ok" && index > 0) this.#acknowledged.push(operation);
    if (!isLongLived) return;
    let writes = this.#keys.get(key);
    if (writes === undefined) this.#keys.set(key, writes = { last: undefined, unknown: [] });
    if (end === "unknown") writes.unknown.push(operation);
    else if (end === "ok" && index > (writes.last?.index ?? 0)) writes.last = operation;
  }

  onEnd({ finalValues }: RunEnd): void {
    for (const operation of this.#acknowledged) {
      const term = this.#terms.get(operation.group)?.get(operation.index);
      if (term === operation.term) continue;
      const found = term === undefined ? "was never applied" : `is one of term ${term}`;
      throw new Finding(this.name, `${operationName(operation)}: the entry there ${found}`);
    }
    for (const [key, { last, unknown }] of this.#keys) {
      const final = finalValues.get(key);
      if (final === undefined || last === undefined) continue;
      const wanted = last.kind === "deregister" ? 0 : last.value;
      if (final.value === wanted) continue;
      // A write of unknown outcome may have followed it.
      const isOther = unknown.some((operation) =>
        (operation.kind === "deregister" ? 0 : operation.value) === final.value
      );
      if (isOther) continue;
      throw new Finding(
        this.name,
        `In the end ${key} holds ${final.value}, and must hold ${wanted}: ${operationName(last)}`,
      );
    }
  }
}
