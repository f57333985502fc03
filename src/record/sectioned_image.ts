/**
 * Images of state machines of several parts, with a section for each part.
 *
 * A header (magic, version, count of sections, some numbers of the whole state), then sections in
 * ascending order of their numbers. A section is its number and version, then framed commands that
 * rebuild its part of the state, then an empty frame. A later version is `unsupported_version`. Owners
 * refuse the sections that they do not know: a replica must not serve a state of which it has a part.
 */
import { concatBytes } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { laterProgram } from "./command.ts";

/** Magic, version, count of sections. */
const PREFIX_BYTES = 16;
const NUMBER_BYTES = 8;
/** Number and version of a section. */
const SECTION_BYTES = 8;
const SECTION_VERSION = 1;
const FRAME_TABLE_BYTES = 8;
const NO_FRAME = new Uint8Array(FRAME_TABLE_BYTES);

/** A kind of image. */
export interface ImageFormat {
  /** Its first eight bytes. */
  readonly magic: Uint8Array;
  readonly version: number;
  /** The versions that are read, for messages. */
  readonly versions: string;
  /** Count of the numbers in its header, each a whole number from 0. */
  readonly numberCount: number;
  /** Its name in messages. */
  readonly name: string;
}

/** A section of a state: the commands that rebuild it. */
export interface ImageSection {
  readonly section: number;
  readonly segments: Iterable<Uint8Array>;
}

/** Writes an image, in chunks of which each holds whole frames. */
export function* writeSectionedImage(
  { magic, version }: ImageFormat,
  numbers: readonly number[],
  sections: readonly ImageSection[],
): Generator<Uint8Array, void, undefined> {
  const header = new Uint8Array(PREFIX_BYTES + NUMBER_BYTES * numbers.length);
  const view = new DataView(header.buffer);
  header.set(magic);
  view.setUint32(8, version, true);
  view.setUint32(12, sections.length, true);
  numbers.forEach((number, at) => view.setFloat64(PREFIX_BYTES + NUMBER_BYTES * at, number, true));
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

/** The bytes of an image and the place up to which they were read. */
export class ImageBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #name: string;
  at = 0;

  constructor(name: string, chunks: Iterable<Uint8Array>) {
    this.#name = name;
    this.bytes = concatBytes([...chunks]);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  /** Reports whether the image is of that format, of whatever version. */
  isOf({ magic }: ImageFormat): boolean {
    return magic.every((byte, at) => this.bytes[at] === byte);
  }

  /** Reads a number of a header. @throws RegistryError `corrupt` if it is no whole number from 0. */
  wholeNumber(at: number): number {
    const value = this.view.getFloat64(at, true);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw this.corrupt(`an index at byte ${at}: found ${value}`);
  }

  /** Reads the next frame. @returns its segment, empty at the end of a section. */
  frame(): Uint8Array {
    const at = this.at;
    if (at + FRAME_TABLE_BYTES > this.bytes.length) throw this.corruptAt(at);
    const start = at + FRAME_TABLE_BYTES;
    const end = start + this.view.getUint32(at + 4, true) * 8;
    if (this.view.getUint32(at, true) !== 0 || end > this.bytes.length) throw this.corruptAt(at);
    this.at = end;
    return this.bytes.subarray(start, end);
  }

  /** Returns the error of an image that does not hold `what`. */
  corrupt(what: string): RegistryError {
    return new RegistryError("corrupt", `${this.#name} must hold ${what}`);
  }

  /** Returns the error of an image whose frames are broken. */
  corruptAt(at: number): RegistryError {
    return this.corrupt(`whole frames: not at byte ${at}`);
  }
}

/** Reads a whole image, given as chunks of any sizes. */
export class SectionedImageReader {
  readonly numbers: readonly number[];
  readonly #image: ImageBytes;

  /** @throws RegistryError `corrupt` when it is too short or of another format; `unsupported_version`. */
  constructor(format: ImageFormat, image: ImageBytes) {
    const headerBytes = PREFIX_BYTES + NUMBER_BYTES * format.numberCount;
    if (image.bytes.length < headerBytes || !image.isOf(format)) throw image.corruptAt(0);
    const version = image.view.getUint32(8, true);
    if (version > format.version) throw laterProgram(`version ${version} of ${format.name}`);
    if (version !== format.version) {
      throw image.corrupt(`version ${format.versions}: found ${version}`);
    }
    this.#image = image;
    this.numbers = Array.from(
      { length: format.numberCount },
      (_, at) => image.wholeNumber(PREFIX_BYTES + NUMBER_BYTES * at),
    );
    image.at = headerBytes;
  }

  /** Returns the number of each section. Read the commands of a section before the next number. */
  *sections(): Generator<number, void, undefined> {
    const image = this.#image;
    let last = 0;
    for (let left = image.view.getUint32(12, true); left > 0; left--) {
      if (image.at + SECTION_BYTES > image.bytes.length) throw image.corruptAt(image.at);
      const section = image.view.getUint32(image.at, true);
      const version = image.view.getUint32(image.at + 4, true);
      if (section <= last) {
        throw image.corrupt(`sections in ascending order: ${section} after ${last}`);
      }
      if (version > SECTION_VERSION) {
        throw laterProgram(`version ${version} of section ${section} of an image`);
      }
      if (version !== SECTION_VERSION) {
        throw image.corrupt(`section ${section} in version ${SECTION_VERSION}: found ${version}`);
      }
      last = section;
      image.at += SECTION_BYTES;
      yield section;
    }
    if (image.at < image.bytes.length) throw image.corrupt("nothing after its sections");
  }

  /** Returns the segments of the commands of the current section. */
  *segments(): Generator<Uint8Array, void, undefined> {
    for (let segment = this.#image.frame(); segment.length > 0; segment = this.#image.frame()) {
      yield segment;
    }
  }
}
