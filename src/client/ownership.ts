/**
 * The client's ownership of records: a process id, random at its start, and a sequence that grows
 * with every write to any record. Both are stored with a record, so that a delayed duplicate is
 * told from the newest write (ARCHITECTURE.md, ownership in time).
 */
import { assert } from "../base/assert.ts";
import { type Entropy, randomUint53 } from "../base/world.ts";
import type { Ownership } from "../record/plain.ts";

const SEQUENCE_MAX = 0xffff_ffff;

/** A generator of the ownership of writes, one per client. */
export class OwnershipSequence {
  /** `[1, 2^53)`; 0 stands for no process. */
  readonly process: number;
  readonly #entropy: Entropy;
  #sequence = 0;

  constructor(entropy: Entropy) {
    this.#entropy = entropy;
    this.process = Math.max(1, randomUint53(entropy));
  }

  /** Returns the generator of another process, which this client stands for. */
  other(): OwnershipSequence {
    return new OwnershipSequence(this.#entropy);
  }

  /** Returns the ownership of a new write, with a higher sequence. A retried request keeps its own. */
  next(): Ownership {
    assert(this.#sequence < SEQUENCE_MAX, "A process makes fewer than 2^32 writes");
    return { process: this.process, sequence: ++this.#sequence };
  }
}
