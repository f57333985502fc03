/**
 * The first 24 bytes of every stream: one Cap'n Proto frame that states the purpose of the stream.
 *
 * This is `StreamPreface` of schemas/wire.capnp in standard stream framing (one segment of two
 * words). It is built once as constant bytes, because it only ever contains three numbers. A peer
 * that sends anything else speaks another protocol; its stream is dropped before another byte is
 * read.
 */
import type { StreamKind } from "./transport.ts";

/** Size of a preface. */
export const PREFACE_BYTES = 24;
/** "ARCS" in memory order, as a little-endian number. */
const MAGIC = 0x41435253;
const VERSION = 1;
const KINDS: readonly StreamKind[] = ["control", "request", "peer", "bulk"];

function encodePreface(kindNumber: number): OwnedPreface {
  const bytes = new Uint8Array(PREFACE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0, true); // segment count - 1
  view.setUint32(4, 2, true); // words of the segment
  view.setUint32(8, 0, true); // root pointer: a struct, right behind it
  view.setUint32(12, 1, true); // with one word of data and no pointers
  view.setUint32(16, MAGIC, true);
  view.setUint16(20, kindNumber, true);
  view.setUint16(22, VERSION, true);
  return bytes;
}

type OwnedPreface = Uint8Array<ArrayBuffer>;

const prefaces: ReadonlyMap<StreamKind, OwnedPreface> = new Map(
  KINDS.map((kind, index) => [kind, encodePreface(index + 1)]),
);

/** Returns a new copy of the preface for `kind`, preceded by `header`; the caller owns it. */
export function prefaceOf(kind: StreamKind, header: Uint8Array): OwnedPreface {
  const bytes = new Uint8Array(header.length + PREFACE_BYTES);
  bytes.set(header);
  bytes.set(prefaces.get(kind)!, header.length);
  return bytes;
}

/**
 * Returns the kind named by a whole preface behind `header`; `undefined` if it is not a preface or
 * has another version.
 *
 * @param bytes exactly `header.length + PREFACE_BYTES` bytes.
 */
export function readPreface(bytes: Uint8Array, header: Uint8Array): StreamKind | undefined {
  if (bytes.length !== header.length + PREFACE_BYTES) return undefined;
  for (let index = 0; index < header.length; index++) {
    if (bytes[index] !== header[index]) return undefined;
  }
  const kind = KINDS[bytes[header.length + 20]! - 1];
  if (kind === undefined) return undefined;
  const expected = prefaces.get(kind)!;
  for (let index = 0; index < PREFACE_BYTES; index++) {
    if (bytes[header.length + index] !== expected[index]) return undefined;
  }
  return kind;
}
