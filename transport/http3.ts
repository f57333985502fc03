/**
 * The minimum of HTTP/3 that carries a WebTransport session (RFC 9114, RFC 9204, RFC 9220,
 * draft-ietf-webtrans-http3): SETTINGS both ways, and one extended CONNECT with its response.
 *
 * Our SETTINGS allow no dynamic table, so a header block refers to the static table only. The only
 * property of a request that matters is that it is a CONNECT for WebTransport. Names and values are
 * compared in both possible encodings, plain and Huffman, so that no Huffman decoder is needed. The
 * functions are pure: they check bytes from unauthenticated peers, which the caller has bounded.
 */
import { RegistryError } from "../src/base/errors.ts";

const CONTROL_STREAM = 0x00;
const FRAME_HEADERS = 0x01;
const FRAME_SETTINGS = 0x04;

const ENABLE_CONNECT_PROTOCOL = 0x08;
const H3_DATAGRAM = 0x33;
const H3_DATAGRAM_BEFORE = 0xffd277;
/** The current setting that permits WebTransport, and two names of earlier drafts. */
const WEBTRANSPORT_SESSIONS_MAX = 0xc671706a;
const WEBTRANSPORT_SESSIONS_MAX_BEFORE = 0x2b603743;
const WEBTRANSPORT_ENABLED_BEFORE = 0x2b603742;

/** `:method: CONNECT` in the static table, the first of seven methods (RFC 9204, appendix A). */
const STATIC_METHOD_CONNECT = 15;
const STATIC_METHOD_LAST = 21;

/** The server's first bytes, on its own unidirectional stream, which stays open. */
export const SERVER_SETTINGS: Uint8Array = settingsStream([
  [WEBTRANSPORT_SESSIONS_MAX, 1],
  [WEBTRANSPORT_SESSIONS_MAX_BEFORE, 1],
  [WEBTRANSPORT_ENABLED_BEFORE, 1],
  [H3_DATAGRAM, 1],
  [H3_DATAGRAM_BEFORE, 1],
  [ENABLE_CONNECT_PROTOCOL, 1],
]);

/** HEADERS with `:status: 200` of the static table. */
export const CONNECT_ACCEPTED: Uint8Array = new Uint8Array([FRAME_HEADERS, 3, 0, 0, 0xd9]);

/** The classification of the first bytes of a unidirectional stream. */
export type StreamStart = "more" | "settings" | "other";

/**
 * Classifies a peer's unidirectional stream: a control stream whose SETTINGS allow WebTransport,
 * another stream, or too short to tell.
 *
 * @throws RegistryError `malformed` if a control stream does not start with SETTINGS, or its
 * SETTINGS do not allow WebTransport.
 */
export function readStreamStart(bytes: Uint8Array): StreamStart {
  const reader = new VarintReader(bytes);
  const kind = reader.next();
  if (kind === undefined) return "more";
  if (kind !== CONTROL_STREAM) return "other";
  const type = reader.next();
  if (type === undefined) return "more";
  if (type !== FRAME_SETTINGS) throw malformed(`First frame must be SETTINGS: found type ${type}`);
  const settings = reader.frame();
  if (settings === undefined) return "more";
  if (!allowsWebTransport(settings)) throw malformed("The client does not allow WebTransport");
  return "settings";
}

/**
 * Reports whether `bytes` contain the complete request for a WebTransport session; false if they
 * are too short.
 *
 * @throws RegistryError `malformed` for anything else.
 */
export function readConnect(bytes: Uint8Array): boolean {
  const reader = new VarintReader(bytes);
  for (;;) {
    const type = reader.next();
    const frame = type === undefined ? undefined : reader.frame();
    if (frame === undefined) return false;
    if (type === FRAME_HEADERS) {
      if (isWebTransportConnect(frame)) return true;
      throw malformed("The request is not for WebTransport");
    }
    // Frames of reserved types must be skipped (RFC 9114 §7.2.8).
    if (type! < 0x21 || (type! - 0x21) % 0x1f !== 0) {
      throw malformed(`First frame of a request must be HEADERS: found type ${type}`);
    }
  }
}

function allowsWebTransport(settings: Uint8Array): boolean {
  const reader = new VarintReader(settings);
  let allowed = false;
  while (!reader.done) {
    const name = reader.next();
    const value = name === undefined ? undefined : reader.next();
    if (name === undefined || value === undefined) throw malformed("SETTINGS are truncated");
    const isPermission = name === WEBTRANSPORT_SESSIONS_MAX ||
      name === WEBTRANSPORT_SESSIONS_MAX_BEFORE || name === WEBTRANSPORT_ENABLED_BEFORE;
    if (isPermission && value > 0) allowed = true;
  }
  return allowed;
}

/** Parses a header block (RFC 9204 §4.5). */
function isWebTransportConnect(block: Uint8Array): boolean {
  const reader = new FieldReader(block);
  // Required insert count and base: there is no dynamic table to refer to.
  if (reader.integer(8) !== 0) throw malformed("A header refers to a dynamic table: there is none");
  reader.integer(7);
  let isConnect = false;
  let isWebTransport = false;
  while (!reader.done) {
    const first = reader.peek();
    if ((first & 0xc0) === 0xc0) {
      if (reader.integer(6) === STATIC_METHOD_CONNECT) isConnect = true;
    } else if ((first & 0xd0) === 0x50) {
      const index = reader.integer(4);
      const isMethod = index >= STATIC_METHOD_CONNECT && index <= STATIC_METHOD_LAST;
      if (reader.text(7, METHOD_CONNECT) && isMethod) isConnect = true;
    } else if ((first & 0xe0) === 0x20) {
      const isProtocol = reader.text(3, PROTOCOL);
      if (reader.text(7, WEBTRANSPORT) && isProtocol) isWebTransport = true;
    } else {
      throw malformed("A header refers to a dynamic table: there is none");
    }
  }
  return isConnect && isWebTransport;
}

/** A position in bytes. */
class ByteReader {
  protected readonly bytes: Uint8Array;
  protected at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.at === this.bytes.length;
  }
}

/** A reader of variable-length integers (RFC 9000 §16). */
class VarintReader extends ByteReader {
  /** Returns the next integer; `undefined` if it is incomplete. */
  next(): number | undefined {
    const first = this.bytes[this.at];
    if (first === undefined) return undefined;
    const length = 1 << (first >>> 6);
    if (this.at + length > this.bytes.length) return undefined;
    let value = first & 0x3f;
    for (let index = 1; index < length; index++) {
      value = value * 256 + this.bytes[this.at + index]!;
    }
    this.at += length;
    return value;
  }

  /** Reads a length and that many bytes; `undefined` if they are incomplete. */
  frame(): Uint8Array | undefined {
    const length = this.next();
    if (length === undefined || length > this.bytes.length - this.at) return undefined;
    return this.bytes.subarray(this.at, this.at += length);
  }
}

/** A reader of the integers and strings of a header block (RFC 9204 §4.1). */
class FieldReader extends ByteReader {
  /** Returns the next byte without consuming it. */
  peek(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw malformed("A header block ends too early");
    return byte;
  }

  /**
   * Reads an integer from the low `prefixBits` of the next byte, and from further bytes if it is
   * larger.
   */
  integer(prefixBits: number): number {
    const max = 2 ** prefixBits - 1;
    let value = this.peek() & max;
    this.at++;
    if (value < max) return value;
    for (let scale = 1; scale < 2 ** 28; scale *= 128) {
      const byte = this.peek();
      this.at++;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw malformed("An integer of a header block is too large");
  }

  /**
   * Skips a string and reports whether it is the expected one. The bit above its length is the
   * Huffman flag.
   */
  text(lengthBits: number, expected: KnownText): boolean {
    const isCoded = (this.peek() & 2 ** lengthBits) !== 0;
    const length = this.integer(lengthBits);
    if (length > this.bytes.length - this.at) throw malformed("A header block ends too early");
    const text = this.bytes.subarray(this.at, this.at += length);
    const wanted = isCoded ? expected.coded : expected.plain;
    return wanted.length === length && wanted.every((byte, index) => byte === text[index]);
  }
}

/** A string in both encodings. */
interface KnownText {
  readonly plain: Uint8Array;
  readonly coded: Uint8Array;
}

/** The Huffman codes of the letters in the known strings (RFC 7541, appendix B): value, bits. */
const HUFFMAN: Readonly<Record<string, readonly [number, number]>> = {
  ":": [0x5c, 7],
  C: [0x5e, 7],
  E: [0x60, 7],
  N: [0x69, 7],
  O: [0x6a, 7],
  T: [0x6f, 7],
  a: [0x03, 5],
  b: [0x23, 6],
  c: [0x04, 5],
  e: [0x05, 5],
  l: [0x28, 6],
  n: [0x2a, 6],
  o: [0x07, 5],
  p: [0x2b, 6],
  r: [0x2c, 6],
  s: [0x08, 5],
  t: [0x09, 5],
  w: [0x78, 7],
};

const METHOD_CONNECT = knownText("CONNECT");
const PROTOCOL = knownText(":protocol");
const WEBTRANSPORT = knownText("webtransport");

function knownText(text: string): KnownText {
  let bits = "";
  for (const letter of text) {
    const [value, length] = HUFFMAN[letter]!;
    bits += value.toString(2).padStart(length, "0");
  }
  // Padded with ones, the prefix of the end-of-string code.
  const padded = bits.padEnd(8 * Math.ceil(bits.length / 8), "1");
  const coded = Uint8Array.from(padded.match(/.{8}/g)!, (byte) => parseInt(byte, 2));
  return { plain: new TextEncoder().encode(text), coded };
}

function settingsStream(settings: readonly (readonly [number, number])[]): Uint8Array {
  const payload = settings.flatMap(([name, value]) => [...varint(name), ...varint(value)]);
  return new Uint8Array([CONTROL_STREAM, FRAME_SETTINGS, ...varint(payload.length), ...payload]);
}

function varint(value: number): number[] {
  const size = [2 ** 6, 2 ** 14, 2 ** 30].findIndex((limit) => value < limit);
  const power = size < 0 ? 3 : size;
  const bytes: number[] = [];
  for (let index = 0, rest = value; index < 2 ** power; index++) {
    bytes.unshift(rest % 256);
    rest = Math.floor(rest / 256);
  }
  bytes[0]! |= power << 6;
  return bytes;
}

function malformed(message: string): RegistryError {
  return new RegistryError("malformed", message);
}
