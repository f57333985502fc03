/** Subject of a node in its certificate, and what only the node itself may ask for. */
import { createHash } from "node:crypto";
import type { JoinClusterRequest } from "../../schemas/gen/wire.ts";
import { bytesEqual, concatBytes } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { MemberState } from "../system/members/member_state.ts";

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

/**
 * Checks that a node that proved itself describes itself and no other: with the addresses and pins of
 * another member a stolen identity could lead its clients and peers astray.
 *
 * @throws RegistryError `permission_denied`.
 */
export function checkDescribesItself(
  { nodeId, folderId }: Pick<JoinClusterRequest, "nodeId" | "folderId">,
  { role, subject, subjectId }: Pick<AuthenticatedPeer, "role" | "subject" | "subjectId">,
  cluster: { readonly clusterId: Uint8Array; readonly members: Pick<MemberState, "numberOf"> },
): void {
  if (role !== "node") return;
  const number = nodeId !== 0 ? nodeId : cluster.members.numberOf(folderId) ?? 0;
  if (bytesEqual(subjectId, nodeSubjectId(cluster.clusterId, number))) return;
  throw new RegistryError(
    "permission_denied",
    `A node may describe only itself to the cluster: ${subject} is not node ${number}`,
    { field: "nodeId" },
  );
}
