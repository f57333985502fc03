/**
 * The positions of a watch, one for each of its partitions, as an immutable value: each event keeps
 * the positions after it, and its token is made only if somebody asks for it.
 *
 * They stand in a tree of nodes with 32 places. A change copies one node of each level (two for
 * 1,024 partitions) and shares the rest.
 */
import { assert } from "../../base/assert.ts";
import type { HistoryPosition } from "../../wire/watch_message.ts";

const BITS = 5;
const MASK = (1 << BITS) - 1;

type Node = readonly (Node | HistoryPosition | undefined)[];

/** The positions at the places `[0, count)`; a place without one is undefined. */
export class PositionMap {
  readonly count: number;
  /** The number of places without a position. */
  readonly missing: number;
  readonly #root: Node;
  /** Bits of a place below those that the root tells apart. */
  readonly #shift: number;

  private constructor(count: number, missing: number, root: Node, shift: number) {
    this.count = count;
    this.missing = missing;
    this.#root = root;
    this.#shift = shift;
  }

  /** Returns a map without positions. */
  static empty(count: number): PositionMap {
    let shift = 0;
    while (count > 1 << (shift + BITS)) shift += BITS;
    return new PositionMap(count, count, [], shift);
  }

  /** Returns the position at a place. */
  at(place: number): HistoryPosition | undefined {
    let node: Node | undefined = this.#root;
    for (let shift = this.#shift; shift > 0 && node !== undefined; shift -= BITS) {
      node = node[place >>> shift & MASK] as Node | undefined;
    }
    return node?.[place & MASK] as HistoryPosition | undefined;
  }

  /** Returns a map with another position at a place. */
  with(place: number, position: HistoryPosition | undefined): PositionMap {
    assert(place >= 0 && place < this.count, `Place ${place} must be below ${this.count}`);
    const root = changed(this.#root, this.#shift, place, position);
    const more = Number(position === undefined) - Number(this.at(place) === undefined);
    return new PositionMap(this.count, this.missing + more, root, this.#shift);
  }
}

function changed(
  node: Node | undefined,
  shift: number,
  place: number,
  position: HistoryPosition | undefined,
): Node {
  const copy = node === undefined ? [] : node.slice();
  const at = place >>> shift & MASK;
  copy[at] = shift === 0
    ? position
    : changed(copy[at] as Node | undefined, shift - BITS, place, position);
  return copy;
}
