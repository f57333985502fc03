/**
 * The numeric types of a message: how each is read, written and range-checked.
 *
 * 64-bit integers are JavaScript numbers, so only safe integers are accepted: a larger one in a
 * message is `malformed`, and writing a value outside its type's range is the caller's mistake, a
 * FieldError.
 */
import { malformed } from "./cursor.ts";
import { FieldError } from "./field_error.ts";

/** A numeric type, for the elements of a list and the fields of a data section. */
export interface Scalar {
  /** The code of the element size in a list pointer. */
  readonly size: number;
  readonly bytes: number;
  /** Reads at a byte offset that the caller has checked. */
  readonly read: (view: DataView, at: number) => number;
  /** Writes at a byte offset that the caller has checked; `name` is used in the error message. */
  readonly write: (view: DataView, at: number, value: number, name: string) => void;
}

const UINT32_COUNT = 0x1_0000_0000;

/** Returns `value`, or throws a FieldError if it is no integer in `[min, max]`. */
function integer(value: number, min: number, max: number, name: string): number {
  if (!(value >= min && value <= max) || Math.floor(value) !== value) {
    throw new FieldError(name, `be an integer in [${min}, ${max}]`, value);
  }
  return value;
}

function unsafe(view: DataView, at: number): Error {
  return malformed(
    `64-bit integer must be within ±(2^53 - 1): found 0x${
      view.getBigUint64(at, true).toString(16)
    }`,
  );
}

export const UINT8: Scalar = {
  size: 2,
  bytes: 1,
  read: (view, at) => view.getUint8(at),
  write: (view, at, value, name) => view.setUint8(at, integer(value, 0, 0xff, name)),
};

export const INT8: Scalar = {
  size: 2,
  bytes: 1,
  read: (view, at) => view.getInt8(at),
  write: (view, at, value, name) => view.setInt8(at, integer(value, -0x80, 0x7f, name)),
};

export const UINT16: Scalar = {
  size: 3,
  bytes: 2,
  read: (view, at) => view.getUint16(at, true),
  write: (view, at, value, name) => view.setUint16(at, integer(value, 0, 0xffff, name), true),
};

export const INT16: Scalar = {
  size: 3,
  bytes: 2,
  read: (view, at) => view.getInt16(at, true),
  write: (view, at, value, name) => view.setInt16(at, integer(value, -0x8000, 0x7fff, name), true),
};

export const UINT32: Scalar = {
  size: 4,
  bytes: 4,
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value, name) => view.setUint32(at, integer(value, 0, 0xffff_ffff, name), true),
};

export const INT32: Scalar = {
  size: 4,
  bytes: 4,
  read: (view, at) => view.getInt32(at, true),
  write: (view, at, value, name) =>
    view.setInt32(at, integer(value, -0x8000_0000, 0x7fff_ffff, name), true),
};

export const UINT64: Scalar = {
  size: 5,
  bytes: 8,
  read: (view, at) => {
    const high = view.getUint32(at + 4, true);
    const low = view.getUint32(at, true);
    // Not as a product: V8 would keep it as a double, and every field that holds one in an object.
    if (high === 0) return low;
    if (high > 0x1f_ffff) throw unsafe(view, at);
    return high * UINT32_COUNT + low;
  },
  write: (view, at, value, name) => {
    integer(value, 0, Number.MAX_SAFE_INTEGER, name);
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, value / UINT32_COUNT, true);
  },
};

export const INT64: Scalar = {
  size: 5,
  bytes: 8,
  read: (view, at) => {
    const value = view.getInt32(at + 4, true) * UINT32_COUNT + view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw unsafe(view, at);
    return value;
  },
  write: (view, at, value, name) => {
    integer(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, name);
    view.setUint32(at, value >>> 0, true);
    view.setInt32(at + 4, Math.floor(value / UINT32_COUNT), true);
  },
};

export const FLOAT32: Scalar = {
  size: 4,
  bytes: 4,
  read: (view, at) => view.getFloat32(at, true),
  write: (view, at, value) => view.setFloat32(at, value, true),
};

export const FLOAT64: Scalar = {
  size: 5,
  bytes: 8,
  read: (view, at) => view.getFloat64(at, true),
  write: (view, at, value) => view.setFloat64(at, value, true),
};
