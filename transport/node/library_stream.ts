/**
 * A stream of the library with what the library leaves out: a read that respects the offset of the
 * caller's buffer, a write that copies what it was given, receive windows that stay shut while nobody
 * reads, and a peer's reset as the end of the stream.
 */
import { type BytePair, ignore } from "../carrier_stream.ts";
import type { LibrarySession, LibraryStream } from "./webtransport_library.ts";

/** Wraps a pair that the library opened or accepted. */
export function wholePair(session: LibrarySession, pair: BytePair): BytePair {
  const stream = [...session.streamObjs].find(({ readable }) => readable === pair.readable);
  if (stream !== undefined) holdBack(stream);
  return { readable: wholeReadable(pair.readable), writable: copyingWritable(pair.writable) };
}

/**
 * Makes the library stop taking bytes, and opening the peer's window, whenever more is buffered than
 * was asked for. By itself it does so only while a read waits.
 */
function holdBack(stream: LibraryStream): void {
  const commit = stream.commitReadBuffer.bind(stream);
  stream.commitReadBuffer = (buffer) => {
    const result = commit(buffer);
    const isFull = (stream.readableController.desiredSize ?? 0) < 0 && !stream.finaldrain_;
    return isFull ? { ...result, stopReading: true } : result;
  };
}

function wholeReadable(bytes: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = bytes.getReader();
  let chunk: Uint8Array = new Uint8Array(0);
  return new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: 16 * 1024,
    async pull(controller) {
      try {
        if (chunk.length === 0) chunk = (await reader.read()).value ?? chunk;
      } catch (error) {
        if (!isReset(error)) throw error;
      }
      const request = controller.byobRequest!;
      // Nothing to give means the end, after which a waiting read is answered with no bytes.
      if (chunk.length === 0) controller.close();
      const view = request.view as Uint8Array;
      const part = chunk.subarray(0, view.length);
      view.set(part);
      chunk = chunk.subarray(part.length);
      request.respond(part.length);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

function copyingWritable(bytes: WritableStream<Uint8Array>): WritableStream<Uint8Array> {
  const writer = bytes.getWriter();
  // The error is met by the next write.
  writer.closed.catch(ignore);
  return new WritableStream({
    write: (chunk) => writer.write(chunk.slice()),
    close: () => writer.close(),
    abort: (reason) => writer.abort(reason),
  });
}

/** True where the peer reset the stream; the library tells by its text alone. */
function isReset(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Resetstream");
}
