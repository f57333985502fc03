/**
 * Bundles: what a client needs to verify a descriptor, or that there is none, with nothing but the hash
 * of the genesis: genesis, checkpoint, all signer sets, the newest entry and the head of the descriptor,
 * each with its proof. JSON, so that a bundle can be kept as one file.
 */
import { encodeBase64 } from "../../base/base64.ts";
import { assert } from "../../base/assert.ts";
import type { JsonObject } from "../documents/json_members.ts";
import { SIGNERS_ID } from "../documents/payload.ts";
import { newestSchema } from "../documents/schema_gate.ts";
import type { AppliedEntry } from "../governed_log.ts";
import type { GovernedPlane } from "../governed_plane.ts";
import { readCheckpoint } from "../tree/checkpoint.ts";

/**
 * Returns the bundle of a descriptor.
 *
 * @param note the signed checkpoint of the whole log as it is now.
 * @param since size of the checkpoint that the client has; 0: none.
 */
export function bundleOf(
  { genesis, log }: GovernedPlane,
  id: string,
  { note, since }: { readonly note: string; readonly since: number },
): JsonObject {
  const size = readCheckpoint(note)?.size;
  assert(size === log.version, `A bundle needs the checkpoint of ${log.version}: it is of ${size}`);
  const { siblings, leaf } = log.heads.prove(id);
  const proven = ({ entry, leaf: bytes }: AppliedEntry) => ({
    entry: parsed(bytes),
    proof: log.tree.inclusion(entry.version - 1).map(encodeBase64),
  });
  const withPayload = (applied: AppliedEntry) => ({
    ...proven(applied),
    payload: parsed(applied.read.bytes),
  });
  const newest = log.at(log.version);
  const head = log.headOf(id);
  const from = since > 0 && since <= log.version ? since : undefined;
  return {
    schema: newestSchema("bundle"),
    genesis: parsed(genesis.bytes),
    checkpoint: note,
    ...(from === undefined ? {} : {
      consistency: { from, proof: log.tree.consistency(from).map(encodeBase64) },
    }),
    signers: log.versionsOf(SIGNERS_ID).map(withPayload),
    ...(newest === undefined ? {} : { newest: proven(newest) }),
    head: {
      siblings: siblings.map(encodeBase64),
      ...(leaf === undefined
        ? {}
        : { leaf: { key: encodeBase64(leaf.key), version: leaf.version } }),
    },
    ...(head === undefined ? {} : { descriptor: withPayload(head) }),
  };
}

function parsed(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}
