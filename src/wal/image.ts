/**
 * An image file: one header record, chunk records, one end record, framed like the log's records.
 *
 * Each record carries the image's number, and each chunk its offset, so that a piece of another
 * image is detected. The *checksum* of the whole image, stored in the log's image mark, is the
 * CRC-32 over the crc32 fields of all records in order. An interrupted reader resumes at a chunk's
 * offset.
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

/** Maximum size of the writer in bytes: a full chunk on top of the bytes already gathered. */
const WRITER_BYTES_MAX = 4 * IMAGE_CHUNK_BYTES_MAX;

/** The checksum over the checksums of records. */
class ImageChecksum {
  value = 0;
  readonly #bytes = new Uint8Array(4);
  readonly #view = new DataView(this.#bytes.buffer);

  add(recordCrc: number): void {
    this.#view.setUint32(0, recordCrc);
    this.value = crc32(this.#bytes, this.#view, 0, 4, this.value);
  }
}

/** Encodes an image. */
export class ImageEncoder {
  readonly #out: FrameWriter;
  readonly #checksum = new ImageChecksum();
  readonly #header: ImageHeader;
  #contentBytes = 0;
  #fileBytes = 0;

  /**
   * @param out the buffer to encode into, used by the encoder until the image is finished; a new
   * one by default.
   */
  constructor(header: ImageHeader, out: FrameWriter = newImageWriter()) {
    out.reset();
    this.#out = out;
    this.#header = header;
    const at = beginRecord(this.#out, OP.imageHeader);
    imageHeaderCodec.append(this.#out, header);
    this.#seal(at);
  }

  /** Count of encoded bytes that were not taken yet. */
  get pendingBytes(): number {
    return this.#out.length;
  }

  /** Adds content of at most `IMAGE_CHUNK_BYTES_MAX` bytes, copied. An empty chunk adds nothing. */
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

  /** Returns the bytes encoded since the last call, copied into `into` if they fit. */
  take(into?: Uint8Array): Uint8Array {
    const { written } = this.#out;
    const fits = into !== undefined && written.length <= into.length;
    const taken = fits ? into.subarray(0, written.length) : new Uint8Array(written.length);
    taken.set(written);
    this.#fileBytes += taken.length;
    this.#out.reset();
    return taken;
  }

  /** Ends the image. The remaining bytes must be taken before the mark is used. */
  finish(): void {
    const at = beginRecord(this.#out, OP.imageEnd);
    imageEndCodec.append(this.#out, {
      number: this.#header.number,
      byteCount: this.#contentBytes,
    });
    this.#seal(at);
  }

  /** Returns the image mark of the finished image, for the log. */
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

/** Creates the buffer of an {@link ImageEncoder}; it may be reused. */
export function newImageWriter(): FrameWriter {
  return new FrameWriter({ bytesMax: WRITER_BYTES_MAX });
}

/** Receives the parts of an image from a decoder. */
export interface ImageSink {
  /** Receives the header, after it was checked against the expected one. */
  header(header: ImageHeader): void;
  /** Receives content in order. The view is valid only during the call. */
  chunk(data: Uint8Array): void;
}

/** The identity of the expected image. */
export interface ImageExpectation {
  readonly logId: Uint8Array;
  readonly groupId: number;
  readonly image: WalImage;
}

/**
 * Decodes one image, passed in pieces of any size, and refuses any image other than the marked one.
 */
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
   * Decodes the complete records in `[start, end)` of `bytes` and returns how many bytes they took.
   * The rest must be passed again, followed by further bytes.
   *
   * @throws RegistryError `corrupt`, with the offset in its message.
   */
  push(bytes: Uint8Array, start: number, end: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = start;
    while (at < end) {
      const size = inspectRecord(view, at, end);
      if (size === RECORD_INCOMPLETE) break;
      if (size === RECORD_INVALID) throw this.#corrupt("there is no record");
      if (!checksumHolds(bytes, view, at, size)) throw this.#corrupt("the record's CRC is wrong");
      this.#record(bytes, view, at, size);
      this.#checksum.add(recordChecksum(view, at, size));
      this.#offset += size;
      at += size;
    }
    return at - start;
  }

  /**
   * Checks that the image was complete and is the marked one.
   *
   * @throws RegistryError `corrupt` otherwise.
   */
  finish(): void {
    const { checksum, byteCount } = this.#expected.image;
    if (this.#state !== "ended") throw this.#corrupt("the image is truncated");
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
        throw this.#corrupt("the chunk has the wrong image number or offset");
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
      throw this.#corrupt(`op ${op} is not allowed there`);
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
