/**
 * Images between nodes, each on a bulk stream of its own: a `PeerImage` frame with the header and
 * the length, the image, and back a `PeerImageReply`. The receiver allocates as bytes arrive, not as
 * the length claims. A side that makes no progress is given up after `PEER_STALL_MS`.
 */
import { peerImageCodec, peerImageReplyCodec } from "../../../schemas/gen/peer.ts";
import { FRAME_INCOMPLETE, FrameWriter, inspectFrame } from "../../../schemas/runtime.ts";
import { errorCodeToWire, RegistryError } from "../../base/errors.ts";
import {
  PEER_IMAGE_BYTES_MAX,
  PEER_IMAGE_HEADER_BYTES_MAX,
  PEER_STALL_MS,
  PEER_WRITE_BYTES,
  REFUSAL_LINGER_MS,
  STREAM_READ_BYTES_MAX,
} from "../../base/limits.ts";
import type { Scheduler, Timer } from "../../base/world.ts";
import type { OwnedBytes, Stream } from "../../../transport/transport.ts";

/** An image that arrived whole. */
export interface ArrivedImage {
  readonly header: Uint8Array;
  readonly image: Uint8Array;
}

/** Room beside the header in a `PeerImage` frame. */
const FRAME_BYTES_EXTRA = 64;
/** First allocation for an image, bytes; doubled as it arrives. */
const IMAGE_BYTES_INITIAL = 256 * 1024;
const TABLE_BYTES = 8;
/** A reply is a frame of one struct with one word of data. */
const REPLY_BYTES = 24;

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

  moved(): void {
    this.#timer?.cancel();
    this.#timer = this.#scheduler.after(PEER_STALL_MS, () => this.#stream.abort());
  }

  end(): void {
    this.#timer?.cancel();
  }
}

/**
 * Sends an image. Resolves with whether the peer has taken it whole; never rejects. The stream is
 * over afterwards.
 */
export async function writeImage(
  stream: Stream,
  { header, image }: ArrivedImage,
  scheduler: Scheduler,
  onBytes: (count: number) => void,
): Promise<boolean> {
  const progress = new Progress(scheduler, stream);
  try {
    const frame = new FrameWriter({ bytesMax: PEER_IMAGE_HEADER_BYTES_MAX + FRAME_BYTES_EXTRA });
    peerImageCodec.write(frame, { bytes: image.length, header });
    await stream.write(frame.written);
    for (let at = 0; at < image.length; at += PEER_WRITE_BYTES) {
      const chunk = image.subarray(at, at + PEER_WRITE_BYTES);
      // A copy, because a transport may detach the buffer.
      await stream.write(chunk.slice());
      onBytes(chunk.length);
      progress.moved();
    }
    const reply = await readExactly(stream, REPLY_BYTES, progress);
    return peerImageReplyCodec.decode(reply.subarray(TABLE_BYTES)).code === 0;
  } catch {
    // Whatever failed, the image is not known to have arrived; the group sends another one.
    return false;
  } finally {
    progress.end();
    stream.abort();
  }
}

/**
 * Reads the length and the header of an image.
 *
 * @throws RegistryError `malformed`, `too_large`, `connection_lost`.
 */
export async function readImageHeader(
  stream: Stream,
  scheduler: Scheduler,
): Promise<{ readonly header: Uint8Array; readonly bytes: number }> {
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
    const { bytes, header } = peerImageCodec.decode(segment);
    if (bytes > PEER_IMAGE_BYTES_MAX) {
      throw new RegistryError(
        "too_large",
        `An image must have at most ${PEER_IMAGE_BYTES_MAX} bytes: found ${bytes}`,
      );
    }
    return { bytes, header };
  } finally {
    progress.end();
  }
}

/**
 * Reads the image that follows its header.
 *
 * @throws RegistryError `connection_lost` if the stream ends or stalls before it is whole.
 */
export async function readImage(
  stream: Stream,
  bytes: number,
  scheduler: Scheduler,
  onBytes: (count: number) => void,
): Promise<Uint8Array> {
  const progress = new Progress(scheduler, stream);
  try {
    return await readExactly(stream, bytes, progress, onBytes);
  } finally {
    progress.end();
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

/** Reads exactly `length` bytes, into a buffer that grows as they arrive. */
async function readExactly(
  stream: Stream,
  length: number,
  progress: Progress,
  onBytes: (count: number) => void = () => {},
): Promise<OwnedBytes> {
  let target = new Uint8Array(Math.min(length, IMAGE_BYTES_INITIAL));
  // A read costs as much as its buffer is long, so bytes are read into a small one and copied.
  let buffer = new ArrayBuffer(Math.min(length, STREAM_READ_BYTES_MAX));
  for (let filled = 0; filled < length;) {
    const wanted = Math.min(buffer.byteLength, length - filled);
    const chunk = await stream.read(new Uint8Array(buffer, 0, wanted));
    if (chunk === undefined) {
      throw new RegistryError(
        "connection_lost",
        `A stream ended after ${filled} of ${length} bytes`,
      );
    }
    if (filled + chunk.length > target.length) target = grown(target, length);
    target.set(chunk, filled);
    filled += chunk.length;
    buffer = chunk.buffer;
    onBytes(chunk.length);
    progress.moved();
  }
  return target;
}

/** Returns a copy of `bytes` of twice the size, or of `lengthMax`. */
function grown(bytes: Uint8Array, lengthMax: number): OwnedBytes {
  const twice = new Uint8Array(Math.min(lengthMax, 2 * bytes.length));
  twice.set(bytes);
  return twice;
}
