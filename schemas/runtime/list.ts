/**
 * Lists of a message as flyweights: `count` and `at(index)`.
 *
 * A list is checked as a whole when it is positioned: its elements must lie inside the segment, and
 * elements of zero bytes are charged to the traversal budget at once, so a count can be relied on.
 * Each `at` costs one step of that budget. An index outside `[0, count)` is the caller's mistake
 * and throws a RangeError.
 */
import {
  byteSteps,
  copySteps,
  type Cursor,
  ElementCursor,
  listCount,
  listElements,
  malformed,
  outside,
  POINTER_LIST,
  pointerTarget,
  SIZE_BYTE,
  SIZE_COMPOSITE,
  SIZE_POINTER,
  WORD_BYTES,
} from "./cursor.ts";
import type { Scalar } from "./scalar.ts";
import { decodeText } from "./text.ts";
import { checkTerminated, type StructView } from "./view.ts";

/** The base of all lists. */
abstract class ElementList extends ElementCursor {
  /** Count of elements. */
  count = 0;
  /** Byte offset of the first element, and the distance from one element to the next. */
  $elements = 0;
  $stride = 0;

  /** Charges one step, and returns the byte offset of an element. */
  $at(index: number): number {
    if (!(index >= 0 && index < this.count)) {
      throw new RangeError(
        `Index must be in [0, ${this.count}) of the list: current value is ${index}`,
      );
    }
    this.$spend(1);
    return this.$elements + index * this.$stride;
  }

  /** Moves to a list of elements of one fixed size. */
  protected $positionFlat(parent: Cursor, pointerAt: number, size: number, stride: number): void {
    this.$descend(parent);
    this.count = 0;
    this.$stride = stride;
    this.$elements = pointerAt === -1 ? -1 : listElements(this, pointerAt, size, stride);
    this.count = this.$elements === -1 ? 0 : listCount(this, pointerAt);
  }
}

/** A list of structs. */
export class StructList<Plain, V extends StructView<Plain>> extends ElementList {
  readonly #element: V;
  #dataBytes = 0;

  /** @param element the view that `at` moves when no other is passed. */
  constructor(element: V) {
    super();
    this.#element = element;
  }

  /** Moves `into`, or the list's own view, to an element, and returns it. */
  at(index: number, into: V = this.#element): V {
    const at = this.$at(index);
    into.$descend(this);
    into.$data = at;
    into.$pointers = at + this.#dataBytes;
    into.$limit = at + this.$stride;
    return into;
  }

  /** Returns all elements, as objects that share nothing with the message. */
  toPlain(): Plain[] {
    const plain: Plain[] = [];
    for (let index = 0; index < this.count; index++) plain.push(this.at(index).toPlain());
    return plain;
  }

  override $position(parent: Cursor, pointerAt: number): void {
    this.$descend(parent);
    this.count = 0;
    const tagAt = pointerAt === -1 ? -1 : pointerTarget(this, pointerAt, POINTER_LIST);
    if (tagAt === -1) return;
    const at = pointerAt - this.$start;
    const high = this.$view.getUint32(pointerAt + 4, true);
    if ((high & 7) !== SIZE_COMPOSITE) {
      throw malformed(`List at byte ${at} must hold structs (size 7): found size ${high & 7}`);
    }
    const words = high >>> 3;
    const end = tagAt + WORD_BYTES + words * WORD_BYTES;
    if (end > this.$end) throw outside(this, pointerAt, tagAt, end);
    const tag = this.$view.getUint32(tagAt, true);
    const sizes = this.$view.getUint32(tagAt + 4, true);
    const count = tag >>> 2;
    const elementWords = (sizes & 0xffff) + (sizes >>> 16);
    if ((tag & 3) !== 0 || count * elementWords > words) {
      throw malformed(
        `List at byte ${at} must hold its elements in ${words} words: its tag (kind ${
          tag & 3
        }) claims ${count} of ${elementWords} words`,
      );
    }
    if (elementWords === 0) this.$spend(count);
    this.count = count;
    this.$elements = tagAt + WORD_BYTES;
    this.$stride = elementWords * WORD_BYTES;
    this.#dataBytes = (sizes & 0xffff) * WORD_BYTES;
  }
}

/** A list of numbers. */
export class ScalarList extends ElementList {
  readonly #scalar: Scalar;

  constructor(scalar: Scalar) {
    super();
    this.#scalar = scalar;
  }

  /** Returns an element. */
  at(index: number): number {
    return this.#scalar.read(this.$view, this.$at(index));
  }

  /** Returns all elements. */
  toPlain(): number[] {
    const plain: number[] = [];
    for (let index = 0; index < this.count; index++) plain.push(this.at(index));
    return plain;
  }

  override $position(parent: Cursor, pointerAt: number): void {
    this.$positionFlat(parent, pointerAt, this.#scalar.size, this.#scalar.bytes);
  }
}

/** A list of Text or Data: each element is a pointer to bytes. */
abstract class ByteStringList extends ElementList {
  /** Returns the bytes of an element in place, without the final NUL of a Text. */
  protected $bytesAt(index: number, text: boolean): Uint8Array {
    const pointerAt = this.$at(index);
    const at = listElements(this, pointerAt, SIZE_BYTE, 1);
    if (at === -1) return this.$bytes.subarray(0, 0);
    if (text) checkTerminated(this, pointerAt, at);
    const length = listCount(this, pointerAt) - (text ? 1 : 0);
    this.$spend(byteSteps(length));
    return this.$bytes.subarray(at, at + length);
  }

  override $position(parent: Cursor, pointerAt: number): void {
    this.$positionFlat(parent, pointerAt, SIZE_POINTER, WORD_BYTES);
  }
}

/** A list of Text. */
export class TextList extends ByteStringList {
  /**
   * Returns an element.
   *
   * @throws RegistryError `malformed` when it is not UTF-8 terminated by NUL.
   */
  at(index: number): string {
    const bytes = this.bytesAt(index);
    this.$spend(copySteps(bytes.length));
    return decodeText(bytes, 0, bytes.length);
  }

  /** Returns the bytes of an element in place, without its final NUL; not checked to be UTF-8. */
  bytesAt(index: number): Uint8Array {
    return this.$bytesAt(index, true);
  }

  /** Returns all elements. */
  toPlain(): string[] {
    const plain: string[] = [];
    for (let index = 0; index < this.count; index++) plain.push(this.at(index));
    return plain;
  }
}

/** A list of Data. */
export class DataList extends ByteStringList {
  /** Returns the bytes of an element in place. */
  at(index: number): Uint8Array {
    return this.$bytesAt(index, false);
  }

  /** Returns copies of all elements. */
  toPlain(): Uint8Array[] {
    const plain: Uint8Array[] = [];
    for (let index = 0; index < this.count; index++) {
      const bytes = this.at(index);
      this.$spend(copySteps(bytes.length));
      plain.push(bytes.slice());
    }
    return plain;
  }
}
