/** A map of bounded size, from which the entry is evicted that was not used for longest. */
export class LruMap<V> {
  readonly #entriesMax: number;
  /** Entries ordered by last use, the least recent first. */
  readonly #entries = new Map<string, V>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns the value of a key without using it. */
  peek(key: string): V | undefined {
    return this.#entries.get(key);
  }

  /** Returns the value of a key, which is then the one used last. */
  use(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) this.put(key, value);
    return value;
  }

  put(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#entriesMax) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
