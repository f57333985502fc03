/**
 * The image of group 0's state: version 2 in sections, with group time, applied index and ring number in
 * its header.
 *
 * Version 1, which is only read: applied index and ring number (two f64), then framed commands. Its
 * first eight bytes are an index, while the magic of later versions is not a number as an f64.
 */
import {
  ImageBytes,
  type ImageFormat,
  type ImageSection,
  SectionedImageReader,
  writeSectionedImage,
} from "../record/sectioned_image.ts";

/** The version in which images are written; version 1 is read too. */
export const SYSTEM_IMAGE_VERSION = 2;

const FORMAT: ImageFormat = {
  magic: Uint8Array.of(0x43, 0x52, 0x53, 0x53, 0x59, 0x53, 0xff, 0xff),
  version: SYSTEM_IMAGE_VERSION,
  versions: "1 or 2",
  numberCount: 3,
  name: "System image",
};
const HEADER_BYTES_1 = 16;

/** The position of a state. */
export interface SystemPoint {
  readonly timeMs: number;
  readonly appliedIndex: number;
  readonly ringNumber: number;
}

/** Writes an image of version 2, in chunks of which each holds whole frames. */
export function writeSystemImage(
  { timeMs, appliedIndex, ringNumber }: SystemPoint,
  sections: readonly ImageSection[],
): Generator<Uint8Array, void, undefined> {
  return writeSectionedImage(FORMAT, [timeMs, appliedIndex, ringNumber], sections);
}

/** Reads a whole image of any version, given as chunks of any sizes. */
export class SystemImageReader {
  readonly version: number;
  readonly point: SystemPoint;
  readonly #image: ImageBytes;
  /** Undefined in version 1. */
  readonly #reader: SectionedImageReader | undefined;

  /** @throws RegistryError `corrupt` when it is too short, or of an unknown version. */
  constructor(chunks: Iterable<Uint8Array>) {
    this.#image = new ImageBytes(FORMAT.name, chunks);
    if (this.#image.isOf(FORMAT)) {
      this.version = FORMAT.version;
      this.#reader = new SectionedImageReader(FORMAT, this.#image);
      const [timeMs, appliedIndex, ringNumber] = this.#reader.numbers;
      this.point = { timeMs: timeMs!, appliedIndex: appliedIndex!, ringNumber: ringNumber! };
      return;
    }
    this.version = 1;
    if (this.#image.bytes.length < HEADER_BYTES_1) throw this.#image.corruptAt(0);
    // The time is that of each command.
    this.point = {
      timeMs: 0,
      appliedIndex: this.#image.wholeNumber(0),
      ringNumber: this.#image.wholeNumber(8),
    };
    this.#image.at = HEADER_BYTES_1;
  }

  /** Returns the number of each section, whose commands are read before the next one. */
  *sections(): Generator<number, void, undefined> {
    if (this.#reader !== undefined) yield* this.#reader.sections();
  }

  /** Returns the segments of the commands of the current section; of all commands in version 1. */
  *segments(): Generator<Uint8Array, void, undefined> {
    if (this.#reader !== undefined) return yield* this.#reader.segments();
    while (this.#image.at < this.#image.bytes.length) yield this.#image.frame();
  }
}
