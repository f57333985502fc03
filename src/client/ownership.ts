/**
 * The client's ownership of records: a process id, random at its start, and a sequence that grows
 * with every write to any record. Both are stored with a record, so that a delayed duplicate is
 * told from the newest write (ARCHITECTURE.md, ownership in time).
 */
import { assert } from "../base/assert.ts";
import { type Entropy, randomUint53 } from "../base/world.ts";

const SEQUENCE_MAX = 0xffff_ffff;

/** The ownership fields of a register or deregistration by the owner. */
export interface Stamp {
  readonly process: number;
  readonly sequence: number;
}

/** A generator of stamps, one per client. */
export class Ownership {
  /** `[1, 2^53)`; 0 stands for no process. */
  readonly process: number;
  #sequence = 0;

  constructor(entropy: Entropy) {
    this.process = Math.max(1, randomUint53(entropy));
  }

  /** Returns a stamp with a new, higher sequence. A retried request keeps its stamp. */
  next(): Stamp {
    assert(this.#sequence < SEQUENCE_MAX, "A process makes fewer than 2^32 writes");
    return { process: this.process, sequence: ++this.#sequence };
  }
}
