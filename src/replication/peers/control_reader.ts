/** Reads the control frames of a session between nodes. */
import { PEER_CONTROL_BYTES_MAX } from "../../base/limits.ts";
import { FrameAssembler } from "../../wire/frame_assembler.ts";
import { decodePeerControl, type PeerControlMessage } from "../../wire/peer_control.ts";
import type { OwnedBytes, Stream } from "../../../transport/transport.ts";

const READ_BYTES = 1_024;

/** The control frames of one stream, in order. One call may wait at a time. */
export class PeerControlReader {
  readonly #stream: Stream;
  readonly #assembler = new FrameAssembler({
    frameBytesMax: PEER_CONTROL_BYTES_MAX,
    segmentsMax: 1,
  });
  /** At most the frames of one chunk. */
  readonly #arrived: PeerControlMessage[] = [];
  #buffer: OwnedBytes = new Uint8Array(READ_BYTES);

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /**
   * Returns the next message; `undefined` at the end of the stream.
   *
   * @throws RegistryError `malformed` or `too_large` (the stream cannot be read any further),
   * `connection_lost`.
   */
  async next(): Promise<PeerControlMessage | undefined> {
    while (this.#arrived.length === 0) {
      const chunk = await this.#stream.read(this.#buffer);
      if (chunk === undefined) return undefined;
      this.#assembler.push(chunk, this.#take);
      this.#buffer = new Uint8Array(chunk.buffer);
    }
    return this.#arrived.shift();
  }

  readonly #take = (view: DataView, bytes: Uint8Array, start: number, end: number): void => {
    const message = decodePeerControl(view, bytes, start, end);
    if (message !== undefined) this.#arrived.push(message);
  };
}
