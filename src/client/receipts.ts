/** The age of an answer, from the receipts of its parts. */
import type { Receipt } from "./answer_types.ts";

/**
 * Returns the upper bound on the age of an answer when it was sent, ms: that of its oldest part; 0
 * if all of it is linearizable.
 */
export function ageBoundMsOf(receipts: readonly Receipt[]): number {
  let ageBoundMs = 0;
  // Not by Math.max(...): a list has a receipt for each partition of each page.
  for (const receipt of receipts) ageBoundMs = Math.max(ageBoundMs, receipt.ageBoundMs);
  return ageBoundMs;
}
