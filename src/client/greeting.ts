/**
 * The client's end of a session's greeting, on its first stream: sends Hello and waits for the
 * reply. Also the goodbye frames of either side (src/wire/control.ts).
 */
import type { Goodbye, Hello } from "../../schemas/gen/wire.ts";
import { FrameWriter } from "../../schemas/runtime/writer.ts";
import {
  type ErrorCode,
  errorCodeFromWire,
  errorCodeToWire,
  RegistryError,
} from "../base/errors.ts";
import {
  CLIENT_READ_BYTES_MIN,
  CONTROL_FRAME_BYTES_MAX,
  HELLO_BYTES_MAX,
  RESPONSE_FRAME_BYTES_MAX,
} from "../base/limits.ts";
import { type ControlMessage, type Greeting, readControl, writeControl } from "../wire/control.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import type { OwnedBytes, Stream } from "../../transport/transport.ts";
import { nextReadBuffer } from "./read_buffer.ts";

/** Limits of the frames from a server, on any stream: responses, and control frames on the first. */
export const SERVER_FRAME_LIMITS = {
  frameBytesMax: Math.max(RESPONSE_FRAME_BYTES_MAX, CONTROL_FRAME_BYTES_MAX),
  segmentsMax: 1,
};

/** A stream on which Hello was answered. */
export interface Greeted {
  readonly greeting: Greeting;
  /** The assembler of the stream's frames; part of the next one may have arrived. */
  readonly assembler: FrameAssembler;
  /** Control messages that arrived together with the reply. */
  readonly later: readonly ControlMessage[];
}

/**
 * Sends Hello and waits for the reply.
 *
 * @throws RegistryError the code of the server's goodbye, `connection_lost`, `malformed`.
 */
export async function greet(stream: Stream, hello: Hello): Promise<Greeted> {
  const out = new FrameWriter({ bytesMax: HELLO_BYTES_MAX });
  writeControl(out, { kind: "hello", hello });
  await stream.write(out.written);
  const assembler = new FrameAssembler(SERVER_FRAME_LIMITS);
  let greeting: Greeting | undefined;
  const later: ControlMessage[] = [];
  for (let buffer: OwnedBytes = new Uint8Array(CLIENT_READ_BYTES_MIN); greeting === undefined;) {
    const chunk = await stream.read(buffer);
    if (chunk === undefined) {
      throw new RegistryError("connection_lost", "The server ended the stream before it answered");
    }
    assembler.push(chunk, (view, bytes, start, end) => {
      const message = readControl(view, bytes, start, end);
      if (message?.kind === "hello_reply") greeting = message.reply;
      else if (message !== undefined) later.push(message);
      if (greeting === undefined && message?.kind === "goodbye") {
        throw goodbyeError(message.goodbye) ??
          new RegistryError("connection_lost", "The server ended the session before it answered");
      }
    });
    buffer = nextReadBuffer(chunk);
  }
  return { greeting, assembler, later };
}

/** Returns the goodbye with which a client ends a session; `undefined` for a normal end. */
export function goodbyeOf(code: ErrorCode | undefined, message: string): ControlMessage {
  const number = code === undefined ? 0 : errorCodeToWire(code);
  return { kind: "goodbye", goodbye: { code: number, message, retryAfterMs: 0 } };
}

/** Returns the error that a server's goodbye describes; `undefined` for a normal end. */
export function goodbyeError({ code: number, message, retryAfterMs }: Goodbye) {
  if (number === 0) return undefined;
  const code = errorCodeFromWire(number);
  return new RegistryError(
    code,
    message || `The server ended the session: ${code}`,
    retryAfterMs > 0 ? { retryAfterMs } : {},
  );
}
