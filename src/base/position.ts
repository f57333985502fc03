/**
 * A position in a group's history, which fences a record (its incarnation), its revision or a claim.
 */

/** The generation of the group's log, and an index in it; greater is later. */
export interface Position {
  readonly generation: number;
  readonly index: number;
}

/** No position; compares below all others. */
export const NO_POSITION: Position = Object.freeze({ generation: 0, index: 0 });

/** Compares two positions: negative when `left` is earlier, 0 when they are equal. */
export function comparePositions(left: Position, right: Position): number {
  return left.generation - right.generation || left.index - right.index;
}

/** Reports whether both positions are equal. */
export function samePosition(left: Position, right: Position): boolean {
  return left.index === right.index && left.generation === right.generation;
}
