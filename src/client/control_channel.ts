/**
 * The client's end of the control stream: Hello and its reply, ring map updates, and goodbye from
 * either side (src/wire/control.ts).
 */
import type { Hello } from "../../schemas/gen/wire.ts";
import { errorCodeFromWire, errorCodeToWire, RegistryError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import { CLIENT_READ_BYTES_MIN, CONTROL_FRAME_BYTES_MAX } from "../base/limits.ts";
import type { ControlMessage, Greeting } from "../wire/control.ts";
import { readControl, writeControl } from "../wire/control.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import type { RingMap } from "../ring/ring_map.ts";
import { Outbox } from "../../transport/outbox.ts";
import type { Stream } from "../../transport/transport.ts";
import { nextReadBuffer } from "./read_buffer.ts";

/** Handler of unsolicited messages from the server. */
export interface ControlHandler {
  ringMap(map: RingMap): void;
  /** The server ends the session; nothing more is read. */
  goodbye(error: RegistryError | undefined): void;
}

/** The client's end of one control stream. */
export class ControlChannel {
  readonly #stream: Stream;
  readonly #outbox: Outbox;
  readonly #assembler = new FrameAssembler({
    frameBytesMax: CONTROL_FRAME_BYTES_MAX,
    segmentsMax: 1,
  });
  readonly #arrived: ControlMessage[] = [];
  #buffer = new Uint8Array(CLIENT_READ_BYTES_MIN);

  constructor(stream: Stream) {
    this.#stream = stream;
    // A failed write ends the stream, which the pending read reports.
    this.#outbox = new Outbox(stream, { bytesMax: CONTROL_FRAME_BYTES_MAX, onFailure: () => {} });
  }

  /**
   * Sends Hello and waits for the reply.
   *
   * @throws RegistryError the code of the server's goodbye, `connection_lost`, `malformed`.
   */
  async greet(hello: Hello): Promise<Greeting> {
    this.#send({ kind: "hello", hello });
    for (;;) {
      const message = await this.#next();
      if (message.kind === "hello_reply") return message.reply;
      if (message.kind === "goodbye") {
        throw goodbyeError(message.goodbye) ??
          new RegistryError("connection_lost", "The server ended the session before it answered");
      }
    }
  }

  /** Reads until the server says goodbye. @throws RegistryError `connection_lost`, `malformed`. */
  async follow(handler: ControlHandler): Promise<void> {
    for (;;) {
      const message = await this.#next();
      if (message.kind === "ring_map") handler.ringMap(message.ringMap);
      if (message.kind === "goodbye") return handler.goodbye(goodbyeError(message.goodbye));
    }
  }

  /** Tells the server that the session ends, and why; `undefined` for a normal end. */
  goodbye(code: ErrorCode | undefined, message: string): void {
    const number = code === undefined ? 0 : errorCodeToWire(code);
    this.#send({ kind: "goodbye", goodbye: { code: number, message, retryAfterMs: 0 } });
  }

  #send(message: ControlMessage): void {
    writeControl(this.#outbox.writer, message);
    this.#outbox.flush();
  }

  async #next(): Promise<ControlMessage> {
    for (;;) {
      const message = this.#arrived.shift();
      if (message !== undefined) return message;
      const chunk = await this.#stream.read(this.#buffer);
      if (chunk === undefined) {
        throw new RegistryError("connection_lost", "The server ended the control stream");
      }
      this.#assembler.push(chunk, this.#take);
      this.#buffer = nextReadBuffer(chunk);
    }
  }

  readonly #take = (view: DataView, bytes: Uint8Array, start: number, end: number): void => {
    const message = readControl(view, bytes, start, end);
    if (message !== undefined) this.#arrived.push(message);
  };
}

function goodbyeError(
  goodbye: { readonly code: number; readonly message: string; readonly retryAfterMs: number },
): RegistryError | undefined {
  if (goodbye.code === 0) return undefined;
  const code = errorCodeFromWire(goodbye.code);
  const { retryAfterMs } = goodbye;
  return new RegistryError(
    code,
    goodbye.message || `The server ended the session: ${code}`,
    retryAfterMs > 0 ? { retryAfterMs } : {},
  );
}
