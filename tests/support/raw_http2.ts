/** HTTP/2 by hand, for attacks: frames as a client sends them, right or wrong. Source: RFC 9113, RFC 7541. */
import { concatBytes } from "../../src/base/bytes.ts";

/** Types of frames. */
export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

/** Returns a frame. */
export function frame(
  type: number,
  payload: Uint8Array = new Uint8Array(0),
  { flags = 0, stream = 0 }: { readonly flags?: number; readonly stream?: number } = {},
): Uint8Array {
  const bytes = new Uint8Array(9 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8 | type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  bytes.set(payload, 9);
  return bytes;
}

/** The first bytes of a client. */
export const PREFACE = concatBytes([
  new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(FRAME.settings),
]);

/** Returns header fields as literals that are not indexed. */
export function headerBlock(fields: readonly (readonly [string, string])[]): Uint8Array {
  return concatBytes(
    fields.flatMap(([name, value]) => [Uint8Array.of(0), text(name), text(value)]),
  );
}

function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  const length: number[] = [];
  if (bytes.length < 127) length.push(bytes.length);
  else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest = Math.floor(rest / 128)) length.push(rest % 128 + 128);
    length.push(rest);
  }
  return concatBytes([Uint8Array.from(length), bytes]);
}

/** The header fields of a call. */
export function callHeaders(path: string): (readonly [string, string])[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
  ];
}

/** An empty message with its prefix. */
export const EMPTY_MESSAGE = new Uint8Array(5);
