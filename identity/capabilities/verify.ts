/**
 * Verification of capabilities: the form, the signatures under the root key that the capability
 * names, then expiry and bans. The result is what the capability permits, guarded by the caveats
 * about the HTTP request, which only the face can check. Synchronous.
 *
 * Clock assumption: the wall clock of the verifier, passed as an argument. If it lags, a capability
 * stays valid for that much longer.
 */
import {
  type CapabilityRights,
  type CapabilityScope,
  isCapabilityScope,
} from "../../src/base/capability.ts";
import { RegistryError } from "../../src/base/errors.ts";
import {
  type CapabilityForm,
  type CapabilityFormFault,
  firstSignature,
  readCapability,
  signatureAfter,
} from "./capability.ts";
import type { Caveat, ListKind } from "./caveat.ts";
import { Guarded, RequestCaveats, type RequestFault } from "./guarded.ts";
import type { RootKey } from "./root_key.ts";

/** Reasons why a capability is refused. */
export type CapabilityFault =
  | CapabilityFormFault
  | "unknown_key"
  | "bad_signature"
  | "no_scope"
  | "no_expiry"
  | "expired"
  | "banned";

/** The keys and bans by which capabilities are verified. */
export interface CapabilityRules {
  /** Returns the root key with that id, if this node has it. */
  readonly keyOf: (keyId: string) => RootKey | undefined;
  /** Reports whether a capability is banned by its id. */
  readonly isBanned: (capabilityId: string) => boolean;
}

/** Returns the error of a refused capability, for the peer that presented it. */
export function capabilityRefused(fault: CapabilityFault | RequestFault): RegistryError {
  const isOfRequest = fault === "wrong_path" || fault === "wrong_method" ||
    fault === "wrong_address";
  return new RegistryError(
    isOfRequest ? "permission_denied" : "unauthenticated",
    `The capability is refused: ${fault}`,
    { field: "capability" },
  );
}

/**
 * Verifies a capability.
 *
 * @param nowMs Unix ms.
 * @returns its rights, guarded by the caveats that are not checked here; or its fault.
 */
export function verifyCapability(
  text: string,
  rules: CapabilityRules,
  nowMs: number,
): Guarded<CapabilityRights> | CapabilityFault {
  const form = readCapability(text);
  if (typeof form === "string") return form;
  const root = rules.keyOf(form.keyId);
  if (root === undefined) return "unknown_key";
  const expected = signatureAfter(
    firstSignature(root, form.head),
    form.encoded.map(({ bytes }) => bytes),
  );
  if (!sameSecret(expected, form.signature)) return "bad_signature";
  return guardedRights(form, rules.isBanned, nowMs);
}

/** Returns the rights of a capability whose signature was verified, or its fault. */
export function guardedRights(
  { capabilityId, caveats }: Pick<CapabilityForm, "capabilityId" | "caveats">,
  isBanned: CapabilityRules["isBanned"],
  nowMs: number,
): Guarded<CapabilityRights> | CapabilityFault {
  const rights = rightsOf(capabilityId, caveats);
  if (typeof rights === "string") return rights;
  if (nowMs >= rights.expiresAtMs) return "expired";
  if (isBanned(capabilityId)) return "banned";
  return new Guarded(rights, new RequestCaveats(caveats));
}

/** Returns what the caveats leave to the capability; "no_scope", "no_expiry" if one is missing. */
export function rightsOf(
  capabilityId: string,
  caveats: readonly Caveat[],
): CapabilityRights | "no_scope" | "no_expiry" {
  const scopes = commonOf(caveats, "scope");
  if (scopes === undefined) return "no_scope";
  const ends = caveats.flatMap((caveat) => caveat.kind === "expiry" ? [caveat.atMs] : []);
  if (ends.length === 0) return "no_expiry";
  const operations = commonOf(caveats, "operation");
  return {
    capabilityId,
    scopes: scopes.filter((scope): scope is CapabilityScope => isCapabilityScope(scope)),
    ...(operations === undefined ? {} : { operations }),
    idPrefixes: listsOf(caveats, "idPrefix"),
    expiresAtMs: Math.min(...ends),
  };
}

function listsOf(caveats: readonly Caveat[], kind: ListKind): (readonly string[])[] {
  return caveats.flatMap((caveat) => caveat.kind === kind ? [caveat.any] : []);
}

/** Returns the alternatives that all caveats of a kind permit; `undefined` if there is none. */
function commonOf(caveats: readonly Caveat[], kind: ListKind): readonly string[] | undefined {
  const [first, ...others] = listsOf(caveats, kind);
  return first?.filter((name) => others.every((other) => other.includes(name)));
}

/** Compares in a time that does not depend on the contents. */
function sameSecret(left: Uint8Array, right: Uint8Array): boolean {
  let difference = left.length ^ right.length;
  for (let index = 0; index < left.length; index++) difference |= left[index]! ^ right[index]!;
  return difference === 0;
}
