/** Subject of a node in its certificate. */
import { createHash } from "node:crypto";
import { concatBytes } from "../base/bytes.ts";

/**
 * Returns the UUID of a node (version 8, RFC 9562 §5.8), derived from its cluster and its number
 * and therefore stable.
 */
export function nodeSubjectId(clusterId: Uint8Array, nodeId: number): Uint8Array {
  const text = new TextEncoder().encode(`registry node ${nodeId} of `);
  const hash = createHash("sha256").update(concatBytes([text, clusterId])).digest();
  const id = new Uint8Array(hash.subarray(0, 16));
  id[6] = (id[6]! & 0x0f) | 0x80;
  id[8] = (id[8]! & 0x3f) | 0x80;
  return id;
}
