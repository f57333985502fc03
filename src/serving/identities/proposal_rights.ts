/**
 * The right of another node to have a command about identities logged. Documents (the trust bundle, the
 * plan of the token keys, the list of the nodes with the authority's keys), certificates, join tokens, grants
 * and new members are decided by nodes that have the authority's keys; without them a stolen node identity
 * could make itself or others whatever it wants. A node that group 0 does not list as one proves it by a
 * signature with a token key of the plan.
 */
import type { CommandView } from "../../../schemas/gen/command.ts";
import { DOCUMENTS, EnrolmentCommandView } from "../../../schemas/gen/identity.ts";
import { bytesEqual, concatBytes } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { COMMAND_KINDS } from "../../record/command.ts";
import { encodeEnrolment } from "../../system/identity_codec.ts";
import type { IdentityState } from "../../system/identity_state.ts";
import { ADMIT_MEMBER } from "../../system/members/member_state.ts";
import { commandOf, type SystemStore } from "../../system/system_store.ts";
import { decideUse } from "../../../identity/enrolment/enrolment.ts";
import { signMessage, verifyMessage } from "../../../identity/pki/ed25519.ts";
import type { TokenSigningKey } from "../../../identity/tokens/token.ts";
import { planFromBytes } from "../../../identity/tokens/token_key_plan.ts";
import { type PlannedKey, withoutEnded } from "../../../identity/tokens/token_keys.ts";
import { keyHolders } from "./key_holders.ts";

type State = Pick<SystemStore, "genesis" | "identities">;

/** A command that another node proposes. */
export interface ForeignCommand {
  readonly command: Uint8Array;
  /** As {@link proveKeys} returns it; empty for none. */
  readonly proof: Uint8Array;
  /** Number of the node; 0 if it is not known. */
  readonly from: number;
  /** Unix ms. */
  readonly nowMs: number;
}

/** Prefix of the signed bytes. Tokens sign base64url text, so no signature passes for one of the other use. */
const PURPOSE = new TextEncoder().encode("crs: command for group 0\n");

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

/** The kinds of command that are for nodes with the authority's keys. Enrolments are, but for one. */
const HOLDERS_KINDS: ReadonlySet<number> = new Set([
  COMMAND_KINDS.document,
  COMMAND_KINDS.grant,
  ADMIT_MEMBER,
]);

/** Reports whether a command is for nodes with the authority's keys. @throws RegistryError `malformed`. */
export function needsKeys(command: Uint8Array, state: IdentityState): boolean {
  const view = commandOf(command);
  if (view.kind === COMMAND_KINDS.enrolment) return !isUse(view, command, state);
  return HOLDERS_KINDS.has(view.kind);
}

/** Reports whether the command only notes the first use of a certificate, which any node may see. */
function isUse(view: CommandView, command: Uint8Array, state: IdentityState): boolean {
  const { tokens, lineages } = view.bodyInto(new EnrolmentCommandView()).toPlain();
  const number = lineages[0]?.record?.lineage;
  const lineage = number === undefined ? undefined : state.lineage(number);
  if (lineage === undefined || tokens.length > 0) return false;
  const use = decideUse(lineage, lineage.latest.generation);
  return use !== undefined && bytesEqual(command, encodeEnrolment(view, use));
}

/**
 * Checks that a node may propose a command that {@link needsKeys}. Before group 0 has a plan and lists a
 * node, any may.
 *
 * @throws RegistryError `permission_denied`.
 */
export function checkHasKeys({ command, proof, from, nowMs }: ForeignCommand, state: State): void {
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
    `This command is for nodes that have the authority's keys: node ${from} is not listed as one, and ` +
      "shows no signature by a token key in use. Start it with the current authority folder",
    { field: "proof" },
  );
}

function planOf({ identities }: State): readonly PlannedKey[] {
  const document = identities.document(DOCUMENTS.tokenKeys);
  return document === undefined ? [] : planFromBytes(document.bytes);
}

/**
 * Only the leader of group 0 sees a proof, and it may log what it wants. The cluster is signed too, as a
 * region's folder may serve several.
 */
function signedBytes(command: Uint8Array, { genesis }: State): Uint8Array {
  return concatBytes([PURPOSE, genesis?.clusterId ?? new Uint8Array(16), command]);
}
