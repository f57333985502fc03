/**
 * The streams that a client opens on a session besides the first. Each is announced on the first one,
 * so that the server waits for a stream only when there will be one, which takes memory in every idle
 * session. A server of an earlier version ignores the announcement.
 */
import { FrameWriter } from "../../schemas/runtime/writer.ts";
import { writeControl } from "../wire/control.ts";
import type { Session, Stream, StreamKind } from "../../transport/transport.ts";

/** Size of an announcement: a frame without a body. */
const ANNOUNCEMENT_BYTES = 32;

/** Opens the further streams of one session. */
export class FurtherStreams {
  readonly session: Session;
  readonly #first: Stream;

  /** @param first the session's first stream, on which Hello was answered. */
  constructor(session: Session, first: Stream) {
    this.session = session;
    this.#first = first;
  }

  /**
   * Announces and opens a stream.
   *
   * @throws RegistryError as `Session.open`.
   */
  open(kind: StreamKind): Promise<Stream> {
    const out = new FrameWriter({
      bytesMax: ANNOUNCEMENT_BYTES,
      bytesInitial: ANNOUNCEMENT_BYTES,
    });
    writeControl(out, { kind: "stream_opening" });
    // If it fails the session has ended, as its other streams report.
    this.#first.write(out.written).catch(() => {});
    return this.session.open(kind);
  }
}
