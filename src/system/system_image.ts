/**
 * The image of group 0's state: applied index and ring number (two f64, little-endian), then framed
 * commands that rebuild the state: the genesis, each member in the order of node ids, identities.
 */
import { RegistryError } from "../base/errors.ts";
import { concatBytes } from "../base/bytes.ts";

const HEADER_BYTES = 16;
const FRAME_TABLE_BYTES = 8;

/** Returns a segment framed for an image: preceded by the table of a one-segment message. */
export function imageFrame(segment: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_TABLE_BYTES + segment.length);
  new DataView(frame.buffer).setUint32(4, segment.length / 8, true);
  frame.set(segment, FRAME_TABLE_BYTES);
  return frame;
}

/** Reads a whole image, given as chunks of any sizes. */
export class SystemImageReader {
  readonly appliedIndex: number;
  readonly ringNumber: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  /** @throws RegistryError `corrupt` when it is too short. */
  constructor(chunks: Iterable<Uint8Array>) {
    this.#bytes = concatBytes([...chunks]);
    this.#view = new DataView(this.#bytes.buffer);
    if (this.#bytes.length < HEADER_BYTES) throw corrupt(0);
    this.appliedIndex = this.#view.getFloat64(0, true);
    this.ringNumber = this.#view.getFloat64(8, true);
  }

  /** Returns the segments of the commands, in order. */
  *segments(): Generator<Uint8Array, void, undefined> {
    for (let at = HEADER_BYTES; at < this.#bytes.length;) {
      if (at + FRAME_TABLE_BYTES > this.#bytes.length) throw corrupt(at);
      const end = at + FRAME_TABLE_BYTES + this.#view.getUint32(at + 4, true) * 8;
      if (this.#view.getUint32(at, true) !== 0 || end > this.#bytes.length) throw corrupt(at);
      yield this.#bytes.subarray(at + FRAME_TABLE_BYTES, end);
      at = end;
    }
  }
}

function corrupt(at: number): RegistryError {
  return new RegistryError("corrupt", `System image must hold whole frames: not at byte ${at}`);
}
