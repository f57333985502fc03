/**
 * The state shared by all readers of a message: the bytes it is positioned on, its depth, and the
 * budget that bounds the work a message may cause.
 *
 * Pointers of a malicious message may overlap, so that a small frame expands to a huge tree.
 * Therefore each step that a reader takes along a pointer or through a list is charged to one
 * budget, which is a constant times the size of the message; a message that needs more is
 * `malformed`. (Cap'n Proto encoding, "Security considerations": amplification and deep nesting.)
 *
 * Members whose names start with `$` belong to the runtime and the generated code.
 */
import { RegistryError } from "../../src/base/errors.ts";
import {
  POINTER_DEPTH_MAX,
  TRAVERSAL_STEPS_MIN,
  TRAVERSAL_STEPS_PER_WORD,
} from "../../src/base/limits.ts";

/** Cost of one plain object in steps; it is far more expensive than a step of a flyweight. */
export const PLAIN_OBJECT_STEPS = 8;

/** Size of a word in bytes. */
export const WORD_BYTES = 8;

/** Returns the maximum number of steps for a message of `bytes` bytes. */
export function traversalStepsMax(bytes: number): number {
  return TRAVERSAL_STEPS_MIN + TRAVERSAL_STEPS_PER_WORD * (bytes / WORD_BYTES);
}

/** Returns the cost in steps of returning `length` bytes in place; the caller will read them. */
export function byteSteps(length: number): number {
  return 1 + (length >> 5);
}

/** Returns the cost in steps of decoding or copying `length` bytes. */
export function copySteps(length: number): number {
  return 1 + (length >> 3);
}

/** Creates the error for bytes that follow no schema. */
export function malformed(message: string): RegistryError {
  return new RegistryError("malformed", message);
}

/** The remaining steps of a message; shared by all its readers. */
export interface TraversalBudget {
  left: number;
}

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);
const NO_BUDGET: TraversalBudget = Object.freeze({ left: 0 });

/** A position inside one segment `[$start, $end)` of `$bytes`; `$view` covers the same bytes. */
export abstract class Cursor {
  $view: DataView = NO_VIEW;
  $bytes: Uint8Array = NO_BYTES;
  $start = 0;
  $end = 0;
  /** Count of pointers that may still be followed from here. */
  $depth = POINTER_DEPTH_MAX;
  $budget: TraversalBudget = NO_BUDGET;

  /** Charges `steps` to the message's budget. */
  $spend(steps: number): void {
    const budget = this.$budget;
    if (budget.left < steps) {
      throw malformed(
        `Message of ${this.$end - this.$start} bytes must be readable in ${
          traversalStepsMax(this.$end - this.$start)
        } steps: its pointers overlap or its lists claim more`,
      );
    }
    budget.left -= steps;
  }

  /** Moves to the segment of `parent`, one pointer deeper. */
  $descend(parent: Cursor): void {
    if (parent.$depth === 0) {
      throw malformed(`Pointers must nest at most ${POINTER_DEPTH_MAX} deep: these go deeper`);
    }
    this.$view = parent.$view;
    this.$bytes = parent.$bytes;
    this.$start = parent.$start;
    this.$end = parent.$end;
    this.$depth = parent.$depth - 1;
    this.$budget = parent.$budget;
  }
}

/** A list positioned on a pointer of a struct. */
export abstract class ElementCursor extends Cursor {
  /**
   * Moves to the list at the pointer at byte `pointerAt`; -1 means that there is no such pointer.
   */
  abstract $position(parent: Cursor, pointerAt: number): void;
}

/** The kinds of pointer (Cap'n Proto encoding, "Pointers"). */
export const POINTER_STRUCT = 0;
export const POINTER_LIST = 1;
export const POINTER_FAR = 2;

/** The size codes of a list's elements. */
export const SIZE_BYTE = 2;
export const SIZE_POINTER = 6;
export const SIZE_COMPOSITE = 7;

const POINTER_KINDS = ["struct", "list", "far", "capability"] as const;

/** Returns the name of the kind of a pointer whose low half is `low`. */
function kindName(low: number): string {
  return POINTER_KINDS[(low & 3) as 0 | 1 | 2 | 3];
}

/**
 * Returns the byte offset that the pointer at `pointerAt` points to, or -1 for a null pointer. The
 * caller checks that the target ends inside the segment.
 */
export function pointerTarget(from: Cursor, pointerAt: number, kind: 0 | 1): number {
  const low = from.$view.getInt32(pointerAt, true);
  if (low === 0 && from.$view.getInt32(pointerAt + 4, true) === 0) return -1;
  if ((low & 3) !== kind) {
    throw malformed(
      `Pointer at byte ${pointerAt - from.$start} must be a ${kindName(kind)} pointer: found a ${
        kindName(low)
      } pointer`,
    );
  }
  const target = pointerAt + WORD_BYTES + (low >> 2) * WORD_BYTES;
  if (target < from.$start || target > from.$end) throw outside(from, pointerAt, target, target);
  return target;
}

/** Creates the error for a pointer to `[lo, hi)`, which is outside the segment. */
export function outside(from: Cursor, pointerAt: number, lo: number, hi: number): RegistryError {
  const start = from.$start;
  return malformed(
    `Pointer at byte ${pointerAt - start} must stay inside its segment of ${
      from.$end - start
    } bytes: it points to [${lo - start}, ${hi - start})`,
  );
}

/**
 * Returns the byte offset of the elements of the list at `pointerAt`; -1 for a null pointer. The
 * elements must have the size code `size` of the encoding (not composite) and `elementBytes` bytes.
 */
export function listElements(
  from: Cursor,
  pointerAt: number,
  size: number,
  elementBytes: number,
): number {
  const target = pointerTarget(from, pointerAt, POINTER_LIST);
  if (target === -1) return -1;
  const high = from.$view.getUint32(pointerAt + 4, true);
  if ((high & 7) !== size) {
    throw malformed(
      `List at byte ${pointerAt - from.$start} must have elements of size ${size}: found ${
        high & 7
      }`,
    );
  }
  const end = target + (high >>> 3) * elementBytes;
  if (end > from.$end) throw outside(from, pointerAt, target, end);
  return target;
}

/** Returns the element count that the list at `pointerAt` claims. */
export function listCount(from: Cursor, pointerAt: number): number {
  return from.$view.getUint32(pointerAt + 4, true) >>> 3;
}
