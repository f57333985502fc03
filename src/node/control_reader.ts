/** Reader of the control frames of a session's first stream. */
import { HELLO_BYTES_MAX } from "../base/limits.ts";
import { type ControlMessage, readControl } from "../wire/control.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import type { Stream } from "../../transport/transport.ts";
import { nextReadBuffer } from "../serving/request_stream.ts";

/** Reads the messages that a client sends on its control stream. */
export class ControlReader {
  readonly #stream: Stream;
  readonly #assembler = new FrameAssembler({ frameBytesMax: HELLO_BYTES_MAX, segmentsMax: 1 });
  readonly #arrived: ControlMessage[] = [];

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** Returns the next message; `undefined` at the end of the stream. */
  async next(): Promise<ControlMessage | undefined> {
    let buffer = new Uint8Array(512);
    while (this.#arrived.length === 0) {
      const chunk = await this.#stream.read(buffer);
      if (chunk === undefined) return undefined;
      this.#assembler.push(chunk, this.#take);
      buffer = nextReadBuffer(chunk) as Uint8Array<ArrayBuffer>;
    }
    return this.#arrived.shift();
  }

  readonly #take = (view: DataView, bytes: Uint8Array, start: number, end: number): void => {
    const message = readControl(view, bytes, start, end);
    if (message !== undefined) this.#arrived.push(message);
  };
}
