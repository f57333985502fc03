/**
 * The frames of the raw echo, in Cap'n Proto stream framing (one segment): a table of 8 bytes
 * (segment count - 1 = 0, size of the body in words, both uint32 little-endian), then the body.
 * The first word of the body is the request's id and the wanted size of the reply; a reply starts
 * with the same word. The rest is filler.
 */

/** Bytes of the segment table. */
export const TABLE_BYTES = 8;
/** Smallest frame: the table and one word. */
export const ECHO_FRAME_BYTES_MIN = TABLE_BYTES + 8;
/** Size of each read, and of the largest frame; 16 KiB and 32 KiB were no faster. */
export const READ_BYTES = 64 * 1024;

/** Checks the size of a frame: a multiple of 8 in `[16, 65536]`. */
export function echoFrameBytes(value: number, name: string): number {
  if (value % 8 === 0 && value >= ECHO_FRAME_BYTES_MIN && value <= READ_BYTES) return value;
  throw new RangeError(
    `${name} must be a multiple of 8 in [${ECHO_FRAME_BYTES_MIN}, ${READ_BYTES}]: ` +
      `current value is ${value}`,
  );
}

/**
 * Reads whole frames from a stream with one buffer that is passed to each read and returned by it
 * (BYOB). Calls `take` for each frame and `chunkEnd` once per chunk; `chunkEnd` stops the reading
 * by returning `"stop"`.
 *
 * @returns when the peer ends the stream or `chunkEnd` stopped; rethrows errors of the stream.
 */
export async function readFrames(
  readable: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (view: DataView, frameOffset: number, frameBytes: number) => void,
  chunkEnd: () => "stop" | undefined,
): Promise<void> {
  const reader = readable.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(2 * READ_BYTES);
  let filled = 0;
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer, filled, READ_BYTES));
    if (done) return;
    buffer = value.buffer;
    filled += value.length;
    const view = new DataView(buffer);
    let offset = 0;
    while (filled - offset >= TABLE_BYTES) {
      const frameBytes = TABLE_BYTES + view.getUint32(offset + 4, true) * 8;
      if (frameBytes > READ_BYTES) {
        throw new RangeError(
          `Cannot read frame as it has ${frameBytes} bytes: at most ${READ_BYTES} are supported`,
        );
      }
      if (filled - offset < frameBytes) break;
      take(view, offset, frameBytes);
      offset += frameBytes;
    }
    if (offset > 0) new Uint8Array(buffer).copyWithin(0, offset, filled);
    filled -= offset;
    if (chunkEnd() === "stop") return;
  }
}

/** Frames gathered for one write. */
export class FrameBatch {
  #bytes = new Uint8Array(256 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** The count of gathered bytes. */
  get length(): number {
    return this.#length;
  }

  /** Appends a frame of `frameBytes` with this first word. */
  append(id: number, replyBytes: number, frameBytes: number): void {
    const end = this.#length + frameBytes;
    if (end > this.#bytes.length) this.#grow(end);
    const view = this.#view;
    // Write the whole reply: a baseline that left old bytes in place would do less work than a
    // codec.
    this.#bytes.fill(0x5a, this.#length + ECHO_FRAME_BYTES_MIN, end);
    view.setUint32(this.#length, 0, true);
    view.setUint32(this.#length + 4, (frameBytes - TABLE_BYTES) / 8, true);
    view.setUint32(this.#length + 8, id, true);
    view.setUint32(this.#length + 12, replyBytes, true);
    this.#length = end;
  }

  /** Returns a copy of the gathered bytes for `write`, and empties the batch. */
  take(): Uint8Array<ArrayBuffer> {
    const copy = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return copy;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
