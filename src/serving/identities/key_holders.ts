/**
 * The nodes that have the authority's keys, as group 0 lists them. A node adds itself when it starts
 * with an authority folder, and removes itself when it starts without.
 */
import { DOCUMENTS } from "../../../schemas/gen/identity.ts";
import type { IdentityState } from "../../system/identity_state.ts";

/** Returns the ids of the nodes that have the keys, in ascending order. */
export function keyHolders(state: IdentityState): readonly number[] {
  const document = state.document(DOCUMENTS.keyHolders);
  if (document === undefined) return [];
  const { bytes } = document;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length >> 2 }, (_, index) => view.getUint32(4 * index));
}

/** Returns the list with or without a node, as a document; undefined if it is up to date. */
export function nextKeyHolders(
  holders: readonly number[],
  nodeId: number,
  hasKeys: boolean,
): Uint8Array | undefined {
  if (holders.includes(nodeId) === hasKeys) return undefined;
  const others = holders.filter((holder) => holder !== nodeId);
  const next = (hasKeys ? [...others, nodeId] : others).sort((left, right) => left - right);
  const view = new DataView(new ArrayBuffer(4 * next.length));
  for (const [index, holder] of next.entries()) view.setUint32(4 * index, holder);
  return new Uint8Array(view.buffer);
}
