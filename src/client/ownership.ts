/**
 * Who this client is to the registry: a process, random at its start, and a sequence that grows with
 * everything it says about any record. Both stay with a record, so that a delayed duplicate is told
 * from the newest word (ARCHITECTURE.md, ownership in time).
 */
import { assert } from "../base/assert.ts";
import { type Entropy, randomUint53 } from "../base/world.ts";

const SEQUENCE_MAX = 0xffff_ffff;

/** What stands in a register or deregistration of one's own. */
export interface Stamp {
  readonly process: number;
  readonly sequence: number;
}

/** Hands out stamps. One for the life of a client. */
export class Ownership {
  /** `[1, 2^53)`; 0 stands for nobody. */
  readonly process: number;
  #sequence = 0;

  constructor(entropy: Entropy) {
    this.process = Math.max(1, randomUint53(entropy));
  }

  /** A stamp above all before it. A request that is repeated keeps its stamp. */
  next(): Stamp {
    assert(this.#sequence < SEQUENCE_MAX, "A process says fewer than 2^32 things");
    return { process: this.process, sequence: ++this.#sequence };
  }
}
