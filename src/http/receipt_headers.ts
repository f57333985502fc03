/** Receipts in the headers of an answer, for programs that pass its body on. */
import { HTTP_RECEIPT_HEADERS_MAX } from "../base/limits.ts";
import { ageBoundMsOf, type Receipt } from "../client/mod.ts";

/**
 * Returns the headers of a document that has `receipts`: each receipt as `node;partition;…`, and the
 * age of the oldest one.
 */
export function receiptHeaders(body: unknown): Record<string, string> {
  const receipts = (body as { receipts?: readonly Receipt[] } | undefined | null)?.receipts;
  if (!Array.isArray(receipts)) return {};
  const all = receipts as readonly Receipt[];
  return {
    "x-registry-receipt": all.slice(0, HTTP_RECEIPT_HEADERS_MAX).map(receiptText).join(", "),
    "x-registry-age-ms": String(ageBoundMsOf(all)),
  };
}

function receiptText({ node, partition, term, appliedIndex, ageBoundMs }: Receipt): string {
  return `node=${node};partition=${partition};term=${term};index=${appliedIndex};age_ms=${ageBoundMs}`;
}
