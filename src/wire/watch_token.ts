/**
 * The token of a watch: its position in each of its partitions, by which it resumes at any node and
 * after any restart. Opaque to its holder, and not secret: whoever has it can read no more than
 * before.
 *
 * Form, in base64url: version (one byte, 1); the cluster's id (16 bytes); the generation; the
 * partitions in ascending order as runs of consecutive numbers; a checksum (SipHash under the
 * cluster's id, 4 bytes, little-endian). A run is the gap before it, its length, and for each of its
 * partitions 4 × zigzag(index - the index before) + form, then what the form says: 0 nothing, as
 * all of the entry was received; 1 the ordinal; 2 the generation and the ordinal; 3 nothing, as the
 * state was not received completely and has to be sent again (its index counts as the one before).
 * All numbers but the checksum are varints, so that partitions of similar age take three bytes each.
 */
import { decodeBase64url, encodeBase64url } from "../base/base64url.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { WATCH_TOKEN_CHARACTERS_MAX } from "../base/limits.ts";
import { SipHash } from "../ring/siphash.ts";
import { type HistoryPosition, ORDINAL_END } from "./watch_message.ts";

const VERSION = 1;
const CLUSTER_ID_BYTES = 16;
const HEADER_BYTES = 1 + CLUSTER_ID_BYTES;
const CHECKSUM_BYTES = 4;
const PARTITIONS_END = 8_192;
/** Bound of indexes: 4 × zigzag of a difference stays below 2^53. */
const INDEX_END = 2 ** 50;
const FORM_ENTRY = 0;
const FORM_ORDINAL = 1;
const FORM_GENERATION = 2;
const FORM_STATE = 3;

/**
 * The position of a watch in a partition, or `state` if the state was requested and has not been
 * received completely.
 */
export type TokenPosition = HistoryPosition | "state";

/**
 * Encodes a token.
 *
 * @param clusterId 16 bytes.
 * @param positions by partition, in any order.
 */
export function encodeWatchToken(
  clusterId: Uint8Array,
  positions: ReadonlyMap<number, TokenPosition>,
): string {
  const partitions = [...positions.keys()].sort((left, right) => left - right);
  const bytes: number[] = [VERSION, ...clusterId];
  let generation = 0;
  for (const position of positions.values()) {
    if (position !== "state") generation = Math.max(generation, position.generation);
  }
  pushVarint(bytes, generation);
  let end = 0;
  let index = 0;
  for (let at = 0; at < partitions.length;) {
    const first = partitions[at]!;
    const length = runLength(partitions, at);
    pushVarint(bytes, first - end);
    pushVarint(bytes, length);
    for (const last = at + length; at < last; at++) {
      index = pushPosition(bytes, positions.get(partitions[at]!)!, index, generation);
    }
    end = first + length;
  }
  const body = Uint8Array.from(bytes);
  const token = new Uint8Array(body.length + CHECKSUM_BYTES);
  token.set(body);
  new DataView(token.buffer).setUint32(body.length, checksumOf(body, clusterId), true);
  return encodeBase64url(token);
}

/** Returns the count of consecutive numbers from `at` on. */
function runLength(partitions: readonly number[], at: number): number {
  let length = 1;
  while (partitions[at + length] === partitions[at]! + length) length++;
  return length;
}

/** Appends a position, and returns the index that the next one is compared with. */
function pushPosition(
  bytes: number[],
  position: TokenPosition,
  indexBefore: number,
  generation: number,
): number {
  if (position === "state") {
    pushVarint(bytes, FORM_STATE);
    return indexBefore;
  }
  const { index, ordinal } = position;
  if (index >= INDEX_END) throw new RangeError(`index must be below 2^50: found ${index}`);
  const isOther = position.generation !== generation;
  const form = isOther ? FORM_GENERATION : ordinal === ORDINAL_END ? FORM_ENTRY : FORM_ORDINAL;
  const change = index - indexBefore;
  pushVarint(bytes, 4 * (change < 0 ? -2 * change - 1 : 2 * change) + form);
  if (isOther) pushVarint(bytes, position.generation);
  if (form !== FORM_ENTRY) pushVarint(bytes, ordinal);
  return index;
}

/**
 * Decodes a token of the cluster; the positions are in ascending order of their partitions.
 *
 * @throws RegistryError `invalid_argument` if the text is no token, `unsupported_version` if a later
 * version made it, `wrong_cluster` if it is of another cluster.
 */
export function decodeWatchToken(
  text: string,
  clusterId: Uint8Array,
): Map<number, TokenPosition> {
  const token = text.length > WATCH_TOKEN_CHARACTERS_MAX ? undefined : decodeBase64url(text);
  if (token === undefined || token.length === 0) throw noToken();
  if (token[0] !== VERSION) {
    throw new RegistryError(
      "unsupported_version",
      `Token must have version ${VERSION}: found ${token[0]}`,
      { field: "token" },
    );
  }
  const bodyEnd = token.length - CHECKSUM_BYTES;
  if (bodyEnd < HEADER_BYTES) throw noToken();
  const body = token.subarray(0, bodyEnd);
  const tokenClusterId = token.subarray(1, HEADER_BYTES);
  const found = new DataView(token.buffer).getUint32(bodyEnd, true);
  if (found !== checksumOf(body, tokenClusterId)) throw noToken();
  if (!bytesEqual(tokenClusterId, clusterId)) {
    throw new RegistryError("wrong_cluster", "Token must be of this cluster: it is of another", {
      field: "token",
    });
  }
  return readPositions(new Varints(body, HEADER_BYTES));
}

function readPositions(input: Varints): Map<number, TokenPosition> {
  const positions = new Map<number, TokenPosition>();
  const generation = input.next();
  let partition = 0;
  let index = 0;
  while (!input.isAtEnd) {
    partition += input.next();
    const length = input.next();
    if (length === 0 || partition + length > PARTITIONS_END) throw noToken();
    for (const end = partition + length; partition < end; partition++) {
      const position = readPosition(input, index, generation);
      if (position !== "state") index = position.index;
      positions.set(partition, position);
    }
  }
  return positions;
}

function readPosition(input: Varints, indexBefore: number, generation: number): TokenPosition {
  const coded = input.next();
  const form = coded % 4;
  if (form === FORM_STATE) return "state";
  const zigzag = Math.floor(coded / 4);
  const index = indexBefore + (zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2);
  if (index < 0 || index >= INDEX_END) throw noToken();
  return {
    generation: form === FORM_GENERATION ? input.next() : generation,
    index,
    ordinal: form === FORM_ENTRY ? ORDINAL_END : input.next(),
  };
}

function checksumOf(body: Uint8Array, clusterId: Uint8Array): number {
  const hash = new SipHash(clusterId);
  hash.hash(-1, body, 0, body.length);
  return hash.low >>> 0;
}

function noToken(): RegistryError {
  return new RegistryError("invalid_argument", "Token must be one that a watch gave: it is none", {
    field: "token",
  });
}

/** Appends a whole number below 2^53, seven bits a byte, the lowest first. */
function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
}

/** Reader of varints. */
class Varints {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#at = start;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Returns the next number. @throws RegistryError `invalid_argument` if there is none. */
  next(): number {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined || unit > 2 ** 49) throw noToken();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) break;
      unit *= 0x80;
    }
    if (value > Number.MAX_SAFE_INTEGER) throw noToken();
    return value;
  }
}
