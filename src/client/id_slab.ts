/**
 * The ids of calls as bytes, many in one buffer: a small array of its own for each takes three times
 * as long to make as its text takes to parse. A buffer goes when the last call that points into it
 * does.
 */
import type { ByteSpan } from "../../schemas/runtime/writer.ts";
import { RegistryError } from "../base/errors.ts";
import { parseUuidInto, UUID_BYTES } from "../base/uuid.ts";

/** Ids of one buffer: 4 KiB, which a call that waits long may hold. */
const SLAB_IDS = 256;

/** Keeps ids until nobody points to them. */
export class IdSlab {
  #bytes = new Uint8Array(SLAB_IDS * UUID_BYTES);
  #used = 0;

  /**
   * The 16 bytes of an id in either form, which nobody changes any more.
   *
   * @throws RegistryError `invalid_argument`.
   */
  keep(id: string | Uint8Array): ByteSpan {
    if (this.#used === this.#bytes.length) {
      this.#bytes = new Uint8Array(SLAB_IDS * UUID_BYTES);
      this.#used = 0;
    }
    const bytes = this.#bytes;
    const start = this.#used;
    if (typeof id === "string") parseUuidInto(id, bytes, start);
    else copyId(id, bytes, start);
    this.#used = start + UUID_BYTES;
    return { bytes, start, end: this.#used };
  }
}

function copyId(id: Uint8Array, target: Uint8Array, at: number): void {
  if (id.length !== UUID_BYTES) {
    throw new RegistryError(
      "invalid_argument",
      `id must have ${UUID_BYTES} bytes: current value has ${id.length}`,
      { field: "id" },
    );
  }
  for (let index = 0; index < UUID_BYTES; index++) target[at + index] = id[index]!;
}
