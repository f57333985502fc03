/**
 * The events of a run: the last ones for people, and a hash of all of them.
 *
 * An event is a word, a node (0: none) and some facts; it is formatted only when it is read. The
 * hash includes every event with its time, so two runs with the same hash took the same course.
 */

/** A fact of an event. */
export type TraceFact = number | string;

interface TraceEvent {
  readonly atMs: number;
  readonly node: number;
  readonly what: string;
  readonly facts: readonly TraceFact[];
}

const FNV_PRIME = 0x0100_0193;
const FNV_BASIS = 0x811c_9dc5;
const SCRATCH = new DataView(new ArrayBuffer(8));

/** Folds a number into a hash. */
function foldNumber(hash: number, value: number): number {
  SCRATCH.setFloat64(0, value);
  const high = Math.imul(hash ^ SCRATCH.getUint32(0), FNV_PRIME);
  const mixed = high ^ (high >>> 15);
  const low = Math.imul(mixed ^ SCRATCH.getUint32(4), FNV_PRIME);
  return low ^ (low >>> 13);
}

function foldText(hash: number, text: string): number {
  let folded = hash;
  for (let at = 0; at < text.length; at++) {
    folded = Math.imul(folded ^ text.charCodeAt(at), FNV_PRIME);
  }
  return folded;
}

/** Returns the unsigned FNV-1a hash of bytes, continued from `seed`. */
export function hashBytes(bytes: Uint8Array, seed: number = FNV_BASIS): number {
  let hash = seed;
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, FNV_PRIME);
  return hash >>> 0;
}

/** The events of one run. */
export class Trace {
  /** Called with each event as it happens, for a run that is watched. */
  watch: ((line: string) => void) | undefined;
  readonly #keep: number;
  #events: TraceEvent[] = [];
  #hash = FNV_BASIS;
  #count = 0;

  /** @param keep minimum number of events kept for people. */
  constructor(keep = 400) {
    this.#keep = keep;
  }

  /** Records an event. */
  note(atMs: number, node: number, what: string, ...facts: readonly TraceFact[]): void {
    this.#fold(atMs, node, what, facts);
    const event = { atMs, node, what, facts };
    this.#events.push(event);
    if (this.#events.length > 2 * this.#keep) this.#events = this.#events.slice(-this.#keep);
    this.watch?.(describe(event));
  }

  /** Adds a value to the hash that people need not see. */
  fold(atMs: number, node: number, value: number): void {
    this.#count++;
    this.#hash = foldNumber(foldNumber(this.#hash, atMs), value * 16 + node);
  }

  #fold(atMs: number, node: number, what: string, facts: readonly TraceFact[]): void {
    this.#count++;
    let hash = foldNumber(foldText(this.#hash, what), atMs * 16 + node);
    for (const fact of facts) {
      hash = typeof fact === "number" ? foldNumber(hash, fact) : foldText(hash, fact);
    }
    this.#hash = hash;
  }

  /** The hash of all recorded events, 8 hexadecimal digits. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** The count of recorded events. */
  get count(): number {
    return this.#count;
  }

  /** Returns the last `count` events, one line each. */
  last(count: number): string[] {
    return this.#events.slice(-count).map(describe);
  }
}

function describe({ atMs, node, what, facts }: TraceEvent): string {
  const who = node === 0 ? "        " : `node ${node}  `;
  return `${atMs.toFixed(3).padStart(11)} ms  ${who}${what} ${facts.join(" ")}`.trimEnd();
}
