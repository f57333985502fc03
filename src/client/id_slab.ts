/**
 * Buffers that hold the ids of many calls as bytes. Allocating a small array per id takes three
 * times as long as parsing the id's text. A buffer is freed with the last call that references it.
 */
import type { ByteSpan } from "../../schemas/runtime/writer.ts";
import { RegistryError } from "../base/errors.ts";
import { parseUuidInto, UUID_BYTES } from "../base/uuid.ts";

/** Ids per buffer: 4 KiB, which one long-waiting call may keep alive. */
const SLAB_IDS = 256;

/** An allocator of id bytes that never reuses a buffer. */
export class IdSlab {
  #bytes = new Uint8Array(SLAB_IDS * UUID_BYTES);
  #used = 0;

  /**
   * Returns the 16 bytes of an id given in either form; they never change afterwards.
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
  // Programs without types may pass anything.
  if (id?.length !== UUID_BYTES) {
    throw new RegistryError(
      "invalid_argument",
      `id must be a UUID as text or as ${UUID_BYTES} bytes: found ${
        id instanceof Uint8Array ? `${id.length} bytes` : `a value of type ${typeof id}`
      }`,
      { field: "id" },
    );
  }
  for (let index = 0; index < UUID_BYTES; index++) target[at + index] = id[index]!;
}
