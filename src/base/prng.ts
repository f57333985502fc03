/**
 * A seeded pseudo-random number generator (xoshiro128**, Blackman and Vigna 2018) for simulations
 * and tests. Not for secrets.
 */
import type { Entropy } from "./world.ts";

/** Seeded entropy: the same seed gives the same sequence on every runtime. */
export class SeededEntropy implements Entropy {
  readonly #state = new Uint32Array(4);

  /** @param seed any integer; only its low 32 bits are used. */
  constructor(seed: number) {
    let mixed = seed >>> 0;
    for (let index = 0; index < 4; index++) {
      // SplitMix32 spreads a small seed over the whole state.
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let word = mixed;
      word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
      word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
      this.#state[index] = (word ^ (word >>> 16)) >>> 0;
    }
  }

  /** Returns the next 32 bits. */
  uint32(): number {
    const state = this.#state;
    const second = state[1]!;
    const product = Math.imul(second, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = second << 9;
    state[2]! ^= state[0]!;
    state[3]! ^= second;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= shifted;
    const last = state[3]!;
    state[3] = (last << 11) | (last >>> 21);
    return result;
  }

  fill(target: Uint8Array): void {
    for (let index = 0; index < target.length; index++) target[index] = this.uint32() & 0xff;
  }

  unit(): number {
    return this.uint32() / 0x1_0000_0000;
  }
}
