/**
 * Images between nodes, each on a bulk stream of its own: a `PeerImage` frame with the header and the length;
 * back a `PeerImagePoint`, which says from where; chunks, each with its CRC-32; and back a `PeerImageReply`.
 * In version 1 of the protocol the whole image follows the frame at once, unchecked, without a point.
 *
 * The receiver allocates as bytes arrive, not as the length claims. A side that makes no progress is given up
 * after `PEER_STALL_MS`.
 */
import {
  peerImageCodec,
  peerImagePointCodec,
  peerImageReplyCodec,
} from "../../../schemas/gen/peer.ts";
import { FRAME_INCOMPLETE, FrameWriter, inspectFrame } from "../../../schemas/runtime.ts";
import { errorCodeToWire, RegistryError } from "../../base/errors.ts";
import {
  PEER_IMAGE_BYTES_MAX,
  PEER_IMAGE_CHUNK_BYTES,
  PEER_IMAGE_HEADER_BYTES_MAX,
  PEER_IMAGE_READ_MS,
  PEER_STALL_MS,
  REFUSAL_LINGER_MS,
  STREAM_READ_BYTES_MAX,
} from "../../base/limits.ts";
import type { Scheduler, Timer } from "../../base/world.ts";
import { crc32 } from "../../wal/crc32.ts";
import { PEER_VERSION_RESUMED_IMAGES } from "../../wire/peer_control.ts";
import type { OwnedBytes, Stream } from "../../../transport/transport.ts";
import type { ImageRate } from "./image_rate.ts";
import type { PartialImage } from "./partial_images.ts";

/** An image on its way to another node. */
export interface OutgoingImage {
  readonly header: Uint8Array;
  readonly image: Uint8Array;
  /** Unique in this process. */
  readonly number: number;
}

/** The outcome of sending an image: after a `cut` it may be continued on another stream. */
export type ImageOutcome = "arrived" | "refused" | "cut";

/** The means by which an image is sent or received. */
export interface ImageMeans {
  readonly scheduler: Scheduler;
  /** The version of the protocol between the nodes. */
  readonly version: number;
  readonly onBytes: (count: number) => void;
}

/** Room beside the header in a `PeerImage` frame. */
const FRAME_BYTES_EXTRA = 64;
const TABLE_BYTES = 8;
/** A reply is a frame of one struct with one word of data, a point one with two. */
const REPLY_BYTES = 24;
const POINT_BYTES = 32;
/** Length and CRC-32 of a chunk. */
const CHUNK_HEAD_BYTES = 8;

/** Aborts a stream on which nothing moves. */
class Progress {
  readonly #scheduler: Scheduler;
  readonly #stream: Stream;
  #timer: Timer | undefined;

  constructor(scheduler: Scheduler, stream: Stream) {
    this.#scheduler = scheduler;
    this.#stream = stream;
    this.moved();
  }

  moved(nextMs: number = PEER_STALL_MS): void {
    this.#timer?.cancel();
    this.#timer = this.#scheduler.after(nextMs, () => this.#stream.abort());
  }

  end(): void {
    this.#timer?.cancel();
  }
}

/** Sends an image, or the rest of it. Never rejects. The stream is over afterwards. */
export async function writeImage(
  stream: Stream,
  { header, image, number }: OutgoingImage,
  { scheduler, version, onBytes, rate }: ImageMeans & { readonly rate: ImageRate },
): Promise<ImageOutcome> {
  const progress = new Progress(scheduler, stream);
  try {
    const frame = new FrameWriter({ bytesMax: PEER_IMAGE_HEADER_BYTES_MAX + FRAME_BYTES_EXTRA });
    peerImageCodec.write(frame, { bytes: image.length, header, number });
    await stream.write(frame.written);
    const isChecked = version >= PEER_VERSION_RESUMED_IMAGES;
    const from = isChecked ? await readPoint(stream, image.length, progress) : 0;
    if (from === undefined) return "refused";
    for (let at = from; at < image.length; at += PEER_IMAGE_CHUNK_BYTES) {
      const chunk = image.subarray(at, at + PEER_IMAGE_CHUNK_BYTES);
      await rate.take(chunk.length);
      // A copy, because a transport may detach the buffer.
      await stream.write(isChecked ? checkedChunk(chunk) : chunk.slice());
      onBytes(chunk.length);
      progress.moved();
    }
    // The answer comes once the image is read there.
    progress.moved(PEER_IMAGE_READ_MS);
    const reply = await readExactly(stream, REPLY_BYTES, progress);
    const { code } = peerImageReplyCodec.decode(reply.subarray(TABLE_BYTES));
    return code === 0 ? "arrived" : "refused";
  } catch {
    // Whatever failed, the image is not known to have arrived.
    return "cut";
  } finally {
    progress.end();
    stream.abort();
  }
}

/** Returns a chunk with its length and CRC-32 before it. */
function checkedChunk(chunk: Uint8Array): OwnedBytes {
  const bytes = new Uint8Array(CHUNK_HEAD_BYTES + chunk.length);
  bytes.set(chunk, CHUNK_HEAD_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, chunk.length, true);
  view.setUint32(4, crc32(bytes, view, CHUNK_HEAD_BYTES, bytes.length), true);
  return bytes;
}

/** Reads from where the receiver wants an image of that length; undefined if it refuses it. */
async function readPoint(
  stream: Stream,
  length: number,
  progress: Progress,
): Promise<number | undefined> {
  const point = await readExactly(stream, POINT_BYTES, progress);
  const { code, offset } = peerImagePointCodec.decode(point.subarray(TABLE_BYTES));
  if (code !== 0) return undefined;
  if (offset > length) {
    throw new RegistryError("malformed", `An image of ${length} bytes ends before ${offset}`);
  }
  return offset;
}

/**
 * Reads the length and the header of an image.
 *
 * @throws RegistryError `malformed`, `too_large`, `connection_lost`.
 */
export async function readImageHeader(
  stream: Stream,
  scheduler: Scheduler,
): Promise<{
  readonly header: Uint8Array;
  readonly bytes: number;
  readonly number: number;
}> {
  const progress = new Progress(scheduler, stream);
  try {
    const table = await readExactly(stream, TABLE_BYTES, progress);
    const limits = {
      frameBytesMax: PEER_IMAGE_HEADER_BYTES_MAX + FRAME_BYTES_EXTRA,
      segmentsMax: 1,
    };
    const size = inspectFrame(new DataView(table.buffer), 0, TABLE_BYTES, limits);
    if (size === FRAME_INCOMPLETE) throw new RegistryError("malformed", "An image has no header");
    const segment = await readExactly(stream, size - TABLE_BYTES, progress);
    const { bytes, header, number } = peerImageCodec.decode(segment);
    if (bytes > PEER_IMAGE_BYTES_MAX) {
      throw new RegistryError(
        "too_large",
        `An image must have at most ${PEER_IMAGE_BYTES_MAX} bytes: found ${bytes}`,
      );
    }
    return { bytes, header, number };
  } finally {
    progress.end();
  }
}

/**
 * Reads what is missing of an image. What has arrived is in it, also if this fails.
 *
 * @throws RegistryError `connection_lost` if the stream ends or stalls before it is whole; `corrupt` if a
 * chunk is not what was sent.
 */
export async function readImage(
  stream: Stream,
  partial: PartialImage,
  { scheduler, version, onBytes }: ImageMeans,
): Promise<void> {
  const { bytes } = partial.identity;
  const progress = new Progress(scheduler, stream);
  try {
    if (version >= PEER_VERSION_RESUMED_IMAGES) {
      await stream.write(pointFrame({ code: 0, offset: partial.filled }));
      while (partial.filled < bytes) {
        const chunk = await readChunk(stream, bytes - partial.filled, progress);
        partial.append(chunk);
        onBytes(chunk.length);
      }
      return;
    }
    let buffer = new ArrayBuffer(Math.min(bytes, STREAM_READ_BYTES_MAX));
    while (partial.filled < bytes) {
      const wanted = Math.min(buffer.byteLength, bytes - partial.filled);
      const chunk = await stream.read(new Uint8Array(buffer, 0, wanted));
      if (chunk === undefined) throw endedAfter(partial.filled, bytes);
      partial.append(chunk);
      buffer = chunk.buffer;
      onBytes(chunk.length);
      progress.moved();
    }
  } finally {
    progress.end();
  }
}

/** Reads a chunk of at most `lengthMax` bytes. @throws RegistryError `corrupt`, `connection_lost`. */
async function readChunk(
  stream: Stream,
  lengthMax: number,
  progress: Progress,
): Promise<Uint8Array> {
  const head = viewOf(await readExactly(stream, CHUNK_HEAD_BYTES, progress));
  const length = head.getUint32(0, true);
  if (length === 0 || length > Math.min(lengthMax, PEER_IMAGE_CHUNK_BYTES)) {
    throw new RegistryError(
      "malformed",
      `A chunk must have 1 to ${lengthMax} bytes: found ${length}`,
    );
  }
  const chunk = await readExactly(stream, length, progress);
  if (crc32(chunk, viewOf(chunk), 0, length) !== head.getUint32(4, true)) {
    throw new RegistryError("corrupt", "A chunk of an image is not what its CRC-32 says");
  }
  return chunk;
}

function pointFrame(point: { readonly code: number; readonly offset: number }): OwnedBytes {
  const frame = new FrameWriter({ bytesMax: POINT_BYTES });
  peerImagePointCodec.write(frame, point);
  return frame.written.slice();
}

/** Refuses an image before any of it is read, and waits a bounded time for the sender to end the stream. */
export async function refuseImage(
  stream: Stream,
  { scheduler, version }: Omit<ImageMeans, "onBytes">,
  error: RegistryError,
): Promise<void> {
  if (version < PEER_VERSION_RESUMED_IMAGES) return await replyToImage(stream, scheduler, error);
  const timer = scheduler.after(REFUSAL_LINGER_MS, () => stream.abort());
  try {
    await stream.write(pointFrame({ code: errorCodeToWire(error.code), offset: 0 }));
    await stream.read(new Uint8Array(1));
  } finally {
    timer.cancel();
    stream.abort();
  }
}

/**
 * Answers an image: 0, or why it was refused. Then waits a bounded time for the sender to end the
 * stream, which it does once it has read the answer: ending it here earlier could drop the answer.
 */
export async function replyToImage(
  stream: Stream,
  scheduler: Scheduler,
  error?: RegistryError,
): Promise<void> {
  const waitMs = error === undefined ? PEER_STALL_MS : REFUSAL_LINGER_MS;
  const timer = scheduler.after(waitMs, () => stream.abort());
  try {
    const frame = new FrameWriter({ bytesMax: REPLY_BYTES });
    const code = error === undefined ? 0 : errorCodeToWire(error.code);
    peerImageReplyCodec.write(frame, { code });
    await stream.write(frame.written);
    // Bytes of a refused image are in flight still; they are not read, which stops the sender.
    if (error === undefined) await stream.read(new Uint8Array(1));
    else await new Promise<void>((resolve) => scheduler.after(waitMs, resolve));
  } finally {
    timer.cancel();
    stream.abort();
  }
}

/** Reads exactly `length` bytes: a part of the protocol, or a chunk, never a length that a peer claims alone. */
async function readExactly(
  stream: Stream,
  length: number,
  progress: Progress,
): Promise<OwnedBytes> {
  const target = new Uint8Array(length);
  // A read costs as much as its buffer is long, so bytes are read into a small one and copied.
  let buffer = new ArrayBuffer(Math.min(length, STREAM_READ_BYTES_MAX));
  for (let filled = 0; filled < length;) {
    const wanted = Math.min(buffer.byteLength, length - filled);
    const chunk = await stream.read(new Uint8Array(buffer, 0, wanted));
    if (chunk === undefined) throw endedAfter(filled, length);
    target.set(chunk, filled);
    filled += chunk.length;
    buffer = chunk.buffer;
    progress.moved();
  }
  return target;
}

function endedAfter(filled: number, length: number): RegistryError {
  return new RegistryError("connection_lost", `A stream ended after ${filled} of ${length} bytes`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
