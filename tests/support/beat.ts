/** Beats between nodes, for tests. */
import type { Beat } from "../../src/liveness/mod.ts";

/** Returns the first beat of a run, which supports nobody, with the given sequence. */
export function newBeat(sequence: number): Beat {
  return {
    run: 1,
    sequence,
    echoRun: 0,
    echo: 0,
    epoch: 1,
    supports: 0,
    granted: 0,
    refused: 0,
    promiseCount: 0,
    promiseHash: 0,
    released: [],
    asked: [],
  };
}
