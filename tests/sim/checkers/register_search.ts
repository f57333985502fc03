/**
 * Decides whether there is one order of all operations on a key, in which each takes effect at one
 * moment between its call and its reply, that explains every reply. Decided per key, because
 * linearizability is local (Herlihy and Wing 1990, Theorem 1).
 *
 * The search is Wing and Gong's with memoized configurations, as Lowe's just-in-time variant
 * ("Testing for linearizability", 2017): events are taken in the order of time, and an operation is
 * linearized at its reply at the latest, together with those pending operations that it needs
 * before it. A configuration is the register's value and the set of pending operations that took
 * effect; if two paths lead to the same one, it is followed once. When no configuration is left,
 * the reply just taken is inconsistent.
 *
 * Several properties keep the search small. Each write has a unique value, so a read names the
 * write that it saw. A read that fits is taken at once: it changes nothing. A write of unknown
 * outcome whose value was never read may never have happened, and one whose value was read had
 * happened by the first reply that showed it. A remove of unknown outcome may take effect at any
 * time or never; all of these are equivalent, so that their number is sufficient.
 */

/** A client's request on one key, and its reply. */
export interface RegisterOperation {
  readonly key: string;
  readonly kind: "read" | "write" | "remove";
  /** Of a write: its own unique value. Of a read: the value it saw. */
  readonly value: number | undefined;
  /** Its place in the order of all calls and replies. */
  readonly calledAt: number;
  /** `Infinity`: there was no reply, or an inconclusive one; it may take effect later, or never. */
  readonly answeredAt: number;
}

/** The reason why a history cannot be explained. */
export interface NotLinearizable {
  readonly key: string;
  /** The first reply that no order explains. */
  readonly answer: RegisterOperation;
  /** The operations pending at that time, and the possible earlier values of the register. */
  readonly pending: readonly RegisterOperation[];
  readonly values: readonly (number | undefined)[];
}

/**
 * Maximum number of configurations: with more concurrent pending writes the search cannot continue;
 * the load should not create such a history.
 */
const CONFIGURATIONS_MAX = 100_000;

interface Pending {
  readonly operation: RegisterOperation;
  readonly bit: bigint;
}

/**
 * The register's value, the pending operations that took effect, and the number of uncertain
 * removes that did.
 */
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

/** Returns the first key whose history cannot be explained; undefined if there is none. */
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

/**
 * Omits operations that reveal nothing, and gives a write of unknown outcome that was seen its
 * latest time.
 */
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
    // Seen before it was called: its call stays first, and the read fails at its reply.
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
  // A write is answered after a read that dates it by its own reply; calls come first.
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
  /** Count of called removes of unknown outcome. */
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

  /** Processes a reply; returns false if no configuration explains it. */
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

  /** Follows every order of pending operations from `start` that ends with the one at `bit`. */
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

  /** Applies all pending reads of the current value. */
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
