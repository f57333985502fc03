/**
 * The right of another node to put a document of group 0: the trust bundle, the plan of the token keys, or
 * the list of the nodes that have the authority's keys. They decide whom the region trusts and where
 * requests with secrets go, so they are for nodes that have these keys. A node that group 0 does not list
 * proves that it has them by a signature with a token key of the plan.
 */
import { concatBytes } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { DOCUMENTS } from "../../system/identity_codec.ts";
import type { SystemStore } from "../../system/system_store.ts";
import { signMessage, verifyMessage } from "../../../identity/pki/ed25519.ts";
import type { TokenSigningKey } from "../../../identity/tokens/token.ts";
import { planFromBytes } from "../../../identity/tokens/token_key_plan.ts";
import { type PlannedKey, withoutEnded } from "../../../identity/tokens/token_keys.ts";
import { keyHolders } from "./key_holders.ts";

type State = Pick<SystemStore, "genesis" | "identities">;

/** A document that another node puts. */
export interface ForeignDocument {
  /** The whole command. */
  readonly command: Uint8Array;
  /** As {@link proveKeys} returns it; empty for none. */
  readonly proof: Uint8Array;
  /** Number of the node; 0 if it is not known. */
  readonly from: number;
  /** Unix ms. */
  readonly nowMs: number;
}

/** What a proof signs begins with this; what a token signs is base64url, so neither is the other. */
const PURPOSE = new TextEncoder().encode("crs: document for group 0\n");

/** Returns the proof for a command; undefined if none of the keys is in the plan. */
export async function proveKeys(
  command: Uint8Array,
  state: State,
  keys: readonly TokenSigningKey[],
): Promise<Uint8Array | undefined> {
  const plan = planOf(state);
  const held = keys.findLast(({ keyId }) => plan.some((planned) => planned.keyId === keyId));
  return held === undefined ? undefined : await signMessage(held.key, signedBytes(command, state));
}

/**
 * Checks that a node may put a document. Before group 0 has a plan and lists a node, any may.
 *
 * @throws RegistryError `permission_denied`.
 */
export function checkMayPut({ command, proof, from, nowMs }: ForeignDocument, state: State): void {
  const holders = keyHolders(state.identities);
  if (holders.includes(from)) return;
  const plan = planOf(state);
  if (plan.length === 0 && holders.length === 0) return;
  const signed = signedBytes(command, state);
  const isProven = withoutEnded(plan, nowMs)
    .some(({ publicKey }) => verifyMessage(publicKey, signed, proof));
  if (isProven) return;
  throw new RegistryError(
    "permission_denied",
    `Documents of group 0 are for nodes that have the authority's keys: node ${from} is not listed as ` +
      "one, and shows no signature by a token key in use. Start it with the current authority folder",
    { field: "proof" },
  );
}

function planOf({ identities }: State): readonly PlannedKey[] {
  const document = identities.document(DOCUMENTS.tokenKeys);
  return document === undefined ? [] : planFromBytes(document.bytes);
}

/** The command names the version that it replaces, so a proof cannot be used twice. */
function signedBytes(command: Uint8Array, { genesis }: State): Uint8Array {
  return concatBytes([PURPOSE, genesis?.clusterId ?? new Uint8Array(16), command]);
}
