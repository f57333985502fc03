/** Correlation ids: the caller's, if it is a ULID or a UUID, else a new UUID. */
import { formatUuid, isUuidText, UUID_BYTES } from "../base/uuid.ts";
import type { Entropy } from "../base/world.ts";

/** The header of a request and of its answer. */
export const CORRELATION_HEADER = "x-corr-id";

/** 26 characters of Crockford's base 32; the first one holds three bits. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;
/** Where the counter begins in a new id; random bits and the version come before it. */
const COUNTER_AT = 10;

/** The ids of the requests of one face. New ones are told apart by a counter behind random bits. */
export class RequestIds {
  readonly #bytes = new Uint8Array(UUID_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  #count = 0;

  constructor(entropy: Entropy) {
    entropy.fill(this.#bytes);
    // Version 4, RFC 9562 variant.
    this.#bytes[6] = (this.#bytes[6]! & 0x0f) | 0x40;
    this.#bytes[8] = (this.#bytes[8]! & 0x3f) | 0x80;
  }

  /** Returns the id of a request. @param given the caller's header. */
  of(given: string | null): string {
    if (given !== null && (ULID.test(given) || isUuidText(given))) return given;
    const count = ++this.#count;
    this.#view.setUint16(COUNTER_AT, Math.floor(count / 2 ** 32));
    this.#view.setUint32(COUNTER_AT + 2, count % 2 ** 32);
    return formatUuid(this.#bytes);
  }
}
