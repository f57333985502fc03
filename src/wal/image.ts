/**
 * An image file: one header record, chunk records, one end record, framed like the log's records.
 *
 * Each record carries the image's number and the chunks their offset, so that a piece of another
 * image is noticed; the *checksum* of the whole, kept in the log's image mark, is the CRC-32 over the
 * crc32 fields of all records in order. A reader that was interrupted resumes at a chunk's offset.
 */
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { IMAGE_CHUNK_BYTES_MAX } from "../base/limits.ts";
import { FrameWriter } from "../../schemas/runtime.ts";
import {
  imageChunkCodec,
  ImageChunkView,
  imageEndCodec,
  ImageEndView,
  type ImageHeader,
  imageHeaderCodec,
  ImageHeaderView,
} from "../../schemas/gen/image.ts";
import type { WalImage } from "../../schemas/gen/wal.ts";
import { crc32 } from "./crc32.ts";
import {
  beginRecord,
  checksumHolds,
  endRecord,
  inspectRecord,
  OP,
  RECORD_HEADER_BYTES,
  RECORD_INCOMPLETE,
  RECORD_INVALID,
  RECORD_TRAILER_BYTES,
  recordChecksum,
  recordOp,
  sealRecord,
} from "./record.ts";

/** Room for a full chunk beside what is gathered. */
const WRITER_BYTES_MAX = 4 * IMAGE_CHUNK_BYTES_MAX;

/** The checksum of checksums, record by record. */
class ImageChecksum {
  value = 0;
  readonly #bytes = new Uint8Array(4);
  readonly #view = new DataView(this.#bytes.buffer);

  add(recordCrc: number): void {
    this.#view.setUint32(0, recordCrc);
    this.value = crc32(this.#bytes, this.#view, 0, 4, this.value);
  }
}

/** Makes the bytes of an image. */
export class ImageEncoder {
  readonly #out: FrameWriter;
  readonly #checksum = new ImageChecksum();
  readonly #header: ImageHeader;
  #contentBytes = 0;
  #fileBytes = 0;

  /** @param out to encode into, the encoder's until the image is finished; a new one by default. */
  constructor(header: ImageHeader, out: FrameWriter = newImageWriter()) {
    out.reset();
    this.#out = out;
    this.#header = header;
    const at = beginRecord(this.#out, OP.imageHeader);
    imageHeaderCodec.append(this.#out, header);
    this.#seal(at);
  }

  /** Encoded bytes not taken yet. */
  get pendingBytes(): number {
    return this.#out.length;
  }

  /** Adds content, at most `IMAGE_CHUNK_BYTES_MAX` bytes, copied; an empty chunk adds nothing. */
  chunk(data: Uint8Array): void {
    if (data.length > IMAGE_CHUNK_BYTES_MAX) {
      throw new RangeError(
        `Image chunk must have at most ${IMAGE_CHUNK_BYTES_MAX} bytes: it has ${data.length}`,
      );
    }
    if (data.length === 0) return;
    const at = beginRecord(this.#out, OP.imageChunk);
    const { number } = this.#header;
    imageChunkCodec.append(this.#out, { number, offset: this.#contentBytes, data });
    this.#contentBytes += data.length;
    this.#seal(at);
  }

  /** What was encoded since the last call, copied into `into` where it has room. */
  take(into?: Uint8Array): Uint8Array {
    const { written } = this.#out;
    const fits = into !== undefined && written.length <= into.length;
    const taken = fits ? into.subarray(0, written.length) : new Uint8Array(written.length);
    taken.set(written);
    this.#fileBytes += taken.length;
    this.#out.reset();
    return taken;
  }

  /** Ends the image; what is left is to be taken before the mark is used. */
  finish(): void {
    const at = beginRecord(this.#out, OP.imageEnd);
    imageEndCodec.append(this.#out, {
      number: this.#header.number,
      byteCount: this.#contentBytes,
    });
    this.#seal(at);
  }

  /** What the log says of the finished image. */
  mark(): WalImage {
    const { index, term, number, configuration } = this.#header;
    const checksum = this.#checksum.value;
    return { index, term, number, byteCount: this.#fileBytes, checksum, configuration };
  }

  #seal(at: number): void {
    const size = endRecord(this.#out, at);
    this.#checksum.add(sealRecord(this.#out.bytes, this.#out.view, at, size));
  }
}

/** What an {@link ImageEncoder} encodes into; it may be used again and again. */
export function newImageWriter(): FrameWriter {
  return new FrameWriter({ bytesMax: WRITER_BYTES_MAX });
}

/** What a reader tells of a piece of an image. */
export interface ImageSink {
  /** The header, checked against what was expected. */
  header(header: ImageHeader): void;
  /** Content in order; a view that ends with the call. */
  chunk(data: Uint8Array): void;
}

/** Whose image is expected. */
export interface ImageExpectation {
  readonly logId: Uint8Array;
  readonly groupId: number;
  readonly image: WalImage;
}

/** Reads one image, fed in pieces of any size, and refuses all that is not exactly the marked one. */
export class ImageDecoder {
  readonly #expected: ImageExpectation;
  readonly #sink: ImageSink;
  readonly #checksum = new ImageChecksum();
  readonly #chunk = new ImageChunkView();
  #offset = 0;
  #contentBytes = 0;
  #state: "header" | "chunks" | "ended" = "header";

  constructor(expected: ImageExpectation, sink: ImageSink) {
    this.#expected = expected;
    this.#sink = sink;
  }

  /** Offset in the file of the first byte not decoded yet. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Decodes the whole records in `[start, end)` of `bytes` and returns how many bytes they took; the
   * rest is to be handed in again with what follows.
   *
   * @throws RegistryError `corrupt`, with the offset in its message.
   */
  push(bytes: Uint8Array, start: number, end: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = start;
    while (at < end) {
      const size = inspectRecord(view, at, end);
      if (size === RECORD_INCOMPLETE) break;
      if (size === RECORD_INVALID) throw this.#corrupt("no record stands there");
      if (!checksumHolds(bytes, view, at, size)) throw this.#corrupt("the record's CRC is wrong");
      this.#record(bytes, view, at, size);
      this.#checksum.add(recordChecksum(view, at, size));
      this.#offset += size;
      at += size;
    }
    return at - start;
  }

  /** @throws RegistryError `corrupt` unless the image was whole and the marked one. */
  finish(): void {
    const { checksum, byteCount } = this.#expected.image;
    if (this.#state !== "ended") throw this.#corrupt("the image is cut short");
    if (this.#offset !== byteCount) throw this.#corrupt(`it must have ${byteCount} bytes`);
    if (this.#checksum.value !== checksum) {
      throw this.#corrupt("its checksum is not the marked one");
    }
  }

  #record(bytes: Uint8Array, view: DataView, at: number, size: number): void {
    const start = at + RECORD_HEADER_BYTES;
    const end = at + size - RECORD_TRAILER_BYTES;
    const op = recordOp(view, at);
    const { number } = this.#expected.image;
    if (this.#state === "header" && op === OP.imageHeader) {
      this.#state = "chunks";
      const header = new ImageHeaderView().wrap(view, bytes, start, end).toPlain();
      this.#checkHeader(header);
      this.#sink.header(header);
    } else if (this.#state === "chunks" && op === OP.imageChunk) {
      const chunk = this.#chunk.wrap(view, bytes, start, end);
      if (chunk.number !== number || chunk.offset !== this.#contentBytes) {
        throw this.#corrupt("the chunk belongs elsewhere");
      }
      const data = chunk.data;
      this.#contentBytes += data.length;
      this.#sink.chunk(data);
    } else if (this.#state === "chunks" && op === OP.imageEnd) {
      const last = new ImageEndView().wrap(view, bytes, start, end);
      if (last.number !== number || last.byteCount !== this.#contentBytes) {
        throw this.#corrupt("the end belongs to another image");
      }
      this.#state = "ended";
    } else {
      throw this.#corrupt(`op ${op} does not stand there`);
    }
  }

  #checkHeader(header: ImageHeader): void {
    const { logId, groupId, image } = this.#expected;
    const same = bytesEqual(header.logId, logId) && header.groupId === groupId &&
      header.number === image.number && header.index === image.index && header.term === image.term;
    if (!same) throw this.#corrupt("the header belongs to another image");
  }

  #corrupt(what: string): RegistryError {
    return new RegistryError("corrupt", `Image is damaged at offset ${this.#offset}: ${what}`);
  }
}
