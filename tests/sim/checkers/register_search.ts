/**
 * Is there one order of all operations on a key, in which each takes effect at one moment between
 * its call and its answer, that explains every answer? Decided per key, for linearizability is
 * local (Herlihy and Wing 1990, Theorem 1).
 *
 * The search is Wing and Gong's with memoized configurations, as Lowe's just-in-time variant
 * ("Testing for linearizability", 2017): events are taken in the order of time, and an operation is
 * linearized at its answer at the latest, together with those pending ones that it needs before it.
 * A configuration is the register's value and which pending operations took effect; two ways to the
 * same one are followed once. When none is left, the answer just taken is the one that lies.
 *
 * What keeps it small. Each write has a value of its own, so a read names the write that it saw. A
 * read that fits is taken at once: it changes nothing. A write of unknown outcome that nobody saw
 * may never have been, and one that was seen was there when the first who saw it was answered. A
 * remove of unknown outcome may take effect at any time or never; all such are alike, so that their
 * number is enough.
 */

/** What a client asked of one key, and what it was told. */
export interface RegisterOperation {
  readonly key: string;
  readonly kind: "read" | "write" | "remove";
  /** Of a write: its own value, given to no other write. Of a read: what it saw. */
  readonly value: number | undefined;
  /** Its place in the order of all calls and answers. */
  readonly calledAt: number;
  /** `Infinity`: no answer came, or none that tells; it may take effect later, or never. */
  readonly answeredAt: number;
}

/** Why a history cannot be explained. */
export interface NotLinearizable {
  readonly key: string;
  /** The first answer that no order explains. */
  readonly answer: RegisterOperation;
  /** The operations that were pending then, and what the register may have held before. */
  readonly pending: readonly RegisterOperation[];
  readonly values: readonly (number | undefined)[];
}

/** More pending writes at once than the search can follow; the load should not make such a history. */
const CONFIGURATIONS_MAX = 100_000;

interface Pending {
  readonly operation: RegisterOperation;
  readonly bit: bigint;
}

/** The register's value, which pending operations took effect, and how many unsure removes did. */
interface Configuration {
  readonly value: number | undefined;
  readonly done: bigint;
  readonly removes: number;
}

interface Event {
  readonly at: number;
  readonly isAnswer: boolean;
  readonly operation: RegisterOperation;
}

/** The first key whose history cannot be explained; undefined: all of them can. */
export function findNotLinearizable(
  operations: Iterable<RegisterOperation>,
): NotLinearizable | undefined {
  const byKey = new Map<string, RegisterOperation[]>();
  for (const operation of operations) {
    const known = byKey.get(operation.key);
    if (known === undefined) byKey.set(operation.key, [operation]);
    else known.push(operation);
  }
  for (const history of byKey.values()) {
    const found = new KeySearch(history).run();
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Leaves out what says nothing, and gives a write of unknown outcome that was seen its latest time. */
function settled(history: readonly RegisterOperation[]): RegisterOperation[] {
  const seenAt = new Map<number, number>();
  const written = new Set<number>();
  for (const { kind, value, answeredAt } of history) {
    if (value === undefined) continue;
    if (kind === "read") {
      seenAt.set(value, Math.min(seenAt.get(value) ?? Infinity, answeredAt));
    } else if (kind === "write") {
      if (written.has(value)) throw new TypeError(`Two writes must not share the value ${value}`);
      written.add(value);
    }
  }
  return history.flatMap((operation) => {
    const { kind, value, answeredAt, calledAt } = operation;
    if (answeredAt !== Infinity || kind === "remove") return [operation];
    const latest = kind === "write" ? seenAt.get(value!) ?? Infinity : Infinity;
    // Seen before it was called: it stays called first, and the read fails when it is answered.
    return latest === Infinity ? [] : [{ ...operation, answeredAt: Math.max(latest, calledAt) }];
  });
}

function eventsOf(history: readonly RegisterOperation[]): Event[] {
  const events: Event[] = [];
  for (const operation of history) {
    events.push({ at: operation.calledAt, isAnswer: false, operation });
    if (operation.answeredAt === Infinity) continue;
    events.push({ at: operation.answeredAt, isAnswer: true, operation });
  }
  // A write is answered after a read that dates it by its own answer; calls come first.
  const rank = ({ isAnswer, operation }: Event) =>
    !isAnswer ? 0 : operation.kind === "read" ? 1 : 2;
  return events.sort((left, right) => left.at - right.at || rank(left) - rank(right));
}

class KeySearch {
  readonly #history: readonly RegisterOperation[];
  #configurations: Configuration[] = [{ value: undefined, done: 0n, removes: 0 }];
  readonly #pending = new Map<RegisterOperation, Pending>();
  readonly #freeBits: bigint[] = [];
  #bitCount = 0n;
  /** Removes of unknown outcome that were called. */
  #unsureRemoves = 0;

  constructor(history: readonly RegisterOperation[]) {
    this.#history = history;
  }

  run(): NotLinearizable | undefined {
    for (const { isAnswer, operation } of eventsOf(settled(this.#history))) {
      if (!isAnswer) {
        this.#call(operation);
        continue;
      }
      const before = this.#configurations;
      if (this.#answer(operation)) continue;
      const values = [...new Set(before.map(({ value }) => value))];
      const pending = [...this.#pending.keys()];
      return { key: operation.key, answer: operation, pending, values };
    }
    return undefined;
  }

  #call(operation: RegisterOperation): void {
    if (operation.answeredAt === Infinity) {
      this.#unsureRemoves++;
      return;
    }
    const bit = this.#freeBits.pop() ?? 1n << this.#bitCount++;
    this.#pending.set(operation, { operation, bit });
    if (operation.kind === "read") {
      this.#configurations = this.#configurations.map((known) => this.#withReads(known));
    }
  }

  /** Takes an answer; false when no configuration explains it. */
  #answer(operation: RegisterOperation): boolean {
    const { bit } = this.#pending.get(operation)!;
    const next = new Map<string, Configuration>();
    const visited = new Set<string>();
    for (const configuration of this.#configurations) {
      this.#linearize(configuration, operation, bit, next, visited);
    }
    if (next.size === 0) return false;
    this.#configurations = [...next.values()];
    this.#pending.delete(operation);
    this.#freeBits.push(bit);
    return true;
  }

  /** Follows every order of pending operations from `start` that ends with the one named by `bit`. */
  #linearize(
    start: Configuration,
    operation: RegisterOperation,
    bit: bigint,
    next: Map<string, Configuration>,
    visited: Set<string>,
  ): void {
    const open = [start];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if ((at.done & bit) !== 0n) {
        const configuration = { ...at, done: at.done & ~bit };
        next.set(keyOf(configuration), configuration);
        continue;
      }
      const key = keyOf(at);
      if (visited.has(key)) continue;
      visited.add(key);
      if (visited.size > CONFIGURATIONS_MAX) {
        throw new RangeError(`The history of ${operation.key} has too many pending operations`);
      }
      for (const pending of this.#pending.values()) {
        const { kind, value } = pending.operation;
        if (kind === "read" || (at.done & pending.bit) !== 0n) continue;
        const removes = at.removes;
        open.push(this.#withReads({ value, done: at.done | pending.bit, removes }));
      }
      if (at.removes < this.#unsureRemoves && at.value !== undefined) {
        open.push(this.#withReads({ ...at, value: undefined, removes: at.removes + 1 }));
      }
    }
  }

  /** Takes all pending reads of the value there is now. */
  #withReads(configuration: Configuration): Configuration {
    let { done } = configuration;
    for (const { operation, bit } of this.#pending.values()) {
      if (operation.kind === "read" && operation.value === configuration.value) done |= bit;
    }
    return done === configuration.done ? configuration : { ...configuration, done };
  }
}

function keyOf({ value, done, removes }: Configuration): string {
  return `${value ?? ""}/${done.toString(36)}/${removes}`;
}
