/**
 * The image of group 0's state.
 *
 * Version 2: a header (magic, version, count of sections, group time, applied index, ring number), then
 * sections in ascending order of their numbers. A section is its number and version, then framed
 * commands that rebuild its part of the state, then an empty frame. A section or a version that is not
 * known is `corrupt`: a replica must not serve a state of which it has only a part.
 *
 * Version 1, which is only read: applied index and ring number (two f64), then framed commands. Its
 * first eight bytes are an index, while the magic of later versions is not a number as an f64.
 */
import { RegistryError } from "../base/errors.ts";
import { concatBytes } from "../base/bytes.ts";

const MAGIC = Uint8Array.of(0x43, 0x52, 0x53, 0x53, 0x59, 0x53, 0xff, 0xff);
const VERSION = 2;
/** Magic, version, count of sections, three f64. */
const HEADER_BYTES = 40;
const HEADER_BYTES_1 = 16;
/** Number and version of a section. */
const SECTION_BYTES = 8;
const SECTION_VERSION = 1;
const FRAME_TABLE_BYTES = 8;
const NO_FRAME = new Uint8Array(FRAME_TABLE_BYTES);

/** The position of a state. */
export interface SystemPoint {
  readonly timeMs: number;
  readonly appliedIndex: number;
  readonly ringNumber: number;
}

/** A section of a state: the commands that rebuild it. */
export interface SystemSection {
  readonly section: number;
  readonly segments: Iterable<Uint8Array>;
}

/** Writes an image of version 2, in chunks of which each holds whole frames. */
export function* writeSystemImage(
  { timeMs, appliedIndex, ringNumber }: SystemPoint,
  sections: readonly SystemSection[],
): Generator<Uint8Array, void, undefined> {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, sections.length, true);
  view.setFloat64(16, timeMs, true);
  view.setFloat64(24, appliedIndex, true);
  view.setFloat64(32, ringNumber, true);
  yield header;
  for (const { section, segments } of sections) {
    const start = new Uint8Array(SECTION_BYTES);
    new DataView(start.buffer).setUint32(0, section, true);
    new DataView(start.buffer).setUint32(4, SECTION_VERSION, true);
    yield start;
    for (const segment of segments) yield imageFrame(segment);
    yield NO_FRAME.slice();
  }
}

/** Returns a segment framed for an image: preceded by the table of a one-segment message. */
function imageFrame(segment: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_TABLE_BYTES + segment.length);
  new DataView(frame.buffer).setUint32(4, segment.length / 8, true);
  frame.set(segment, FRAME_TABLE_BYTES);
  return frame;
}

/** Reads a whole image of any version, given as chunks of any sizes. */
export class SystemImageReader {
  readonly version: number;
  readonly point: SystemPoint;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  /** @throws RegistryError `corrupt` when it is too short, or of an unknown version. */
  constructor(chunks: Iterable<Uint8Array>) {
    this.#bytes = concatBytes([...chunks]);
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    const isFirst = !MAGIC.every((byte, at) => this.#bytes[at] === byte);
    const headerBytes = isFirst ? HEADER_BYTES_1 : HEADER_BYTES;
    if (this.#bytes.length < headerBytes) throw corrupt("whole frames: not at byte 0");
    this.version = isFirst ? 1 : this.#view.getUint32(8, true);
    if (this.version !== 1 && this.version !== VERSION) {
      throw corrupt(`version 1 or ${VERSION}: found ${this.version}`);
    }
    // In version 1 the time is that of each command.
    this.point = {
      timeMs: isFirst ? 0 : this.#index(16),
      appliedIndex: this.#index(isFirst ? 0 : 24),
      ringNumber: this.#index(isFirst ? 8 : 32),
    };
    this.#at = headerBytes;
  }

  /** Returns the number of each section, whose commands are read before the next one. */
  *sections(): Generator<number, void, undefined> {
    let last = 0;
    for (let left = this.#view.getUint32(12, true); left > 0; left--) {
      if (this.#at + SECTION_BYTES > this.#bytes.length) throw corruptAt(this.#at);
      const section = this.#view.getUint32(this.#at, true);
      const version = this.#view.getUint32(this.#at + 4, true);
      if (section <= last) throw corrupt(`sections in ascending order: ${section} after ${last}`);
      if (version !== SECTION_VERSION) {
        throw corrupt(`section ${section} in version ${SECTION_VERSION}: found ${version}`);
      }
      last = section;
      this.#at += SECTION_BYTES;
      yield section;
    }
    if (this.#at < this.#bytes.length) throw corrupt("nothing after its sections");
  }

  /** Returns the segments of the commands of the current section; of all commands in version 1. */
  *segments(): Generator<Uint8Array, void, undefined> {
    for (;;) {
      if (this.version === 1 && this.#at === this.#bytes.length) return;
      const at = this.#at;
      if (at + FRAME_TABLE_BYTES > this.#bytes.length) throw corruptAt(at);
      const start = at + FRAME_TABLE_BYTES;
      const end = start + this.#view.getUint32(at + 4, true) * 8;
      if (this.#view.getUint32(at, true) !== 0 || end > this.#bytes.length) throw corruptAt(at);
      this.#at = end;
      if (end === start && this.version !== 1) return;
      yield this.#bytes.subarray(start, end);
    }
  }

  #index(at: number): number {
    const value = this.#view.getFloat64(at, true);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw corrupt(`an index at byte ${at}: found ${value}`);
  }
}

function corruptAt(at: number): RegistryError {
  return corrupt(`whole frames: not at byte ${at}`);
}

function corrupt(what: string): RegistryError {
  return new RegistryError("corrupt", `System image must hold ${what}`);
}
