/**
 * The evidence with which a front opens a delegation: what it presents for one of its callers. The
 * node checks all of it but two facts, for which it trusts the front: that the caller proved to hold
 * the key of the certificate, and the caller's address.
 */
import { EVIDENCE_KIND_NAMES, type OpenDelegationRequest } from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import {
  AUTH_CHAIN_BYTES_MAX,
  AUTH_CHAIN_CERTIFICATES_MAX,
  CAPABILITY_BYTES_MAX,
  DELEGATION_ADDRESS_BYTES_MAX,
  TOKEN_BYTES_MAX,
} from "../base/limits.ts";

/** Evidence that a front presents for a caller, decoded. */
export type DelegationEvidence =
  | {
    readonly kind: "certificate";
    /** DER, the caller's certificate first, without the root. */
    readonly chain: readonly Uint8Array[];
    /** A token bound to that certificate; undefined: none. */
    readonly token: string | undefined;
  }
  | {
    readonly kind: "token";
    readonly token: string;
    /** SHA-256 of the caller's certificate, to which the token must be bound. */
    readonly leafHash: Uint8Array;
  }
  | { readonly kind: "capability"; readonly capability: string }
  /** The caller is anonymous. */
  | { readonly kind: "none" };

const LEAF_HASH_BYTES = 32;
/** Printable ASCII, as it is logged. */
const ADDRESS = /^[!-~]*$/;

/**
 * Returns the evidence of a request, of bounded size and well-formed, but not checked.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function evidenceOf(request: OpenDelegationRequest): DelegationEvidence {
  const { chain, token, leafHash, capability, address } = request;
  if (address.length > DELEGATION_ADDRESS_BYTES_MAX || !ADDRESS.test(address)) {
    const wanted = `have at most ${DELEGATION_ADDRESS_BYTES_MAX} printable ASCII characters`;
    throw invalid("address", wanted, address.length);
  }
  checkLength("token", token, TOKEN_BYTES_MAX);
  checkLength("capability", capability, CAPABILITY_BYTES_MAX);
  switch (EVIDENCE_KIND_NAMES[request.evidence]) {
    case "none":
      return { kind: "none" };
    case "certificate":
      checkChain(chain);
      return { kind: "certificate", chain, token: token === "" ? undefined : token };
    case "token":
      if (leafHash.length !== LEAF_HASH_BYTES) {
        throw invalid("leafHash", `have ${LEAF_HASH_BYTES} bytes`, leafHash.length);
      }
      return { kind: "token", token, leafHash };
    case "capability":
      return { kind: "capability", capability };
    default:
      throw invalid("evidence", "be one of 1 to 4", request.evidence);
  }
}

function checkChain(chain: readonly Uint8Array[]): void {
  if (chain.length === 0 || chain.length > AUTH_CHAIN_CERTIFICATES_MAX) {
    throw invalid("chain", `have 1 to ${AUTH_CHAIN_CERTIFICATES_MAX} certificates`, chain.length);
  }
  const bytes = chain.reduce((sum, { length }) => sum + length, 0);
  if (bytes > AUTH_CHAIN_BYTES_MAX) {
    throw invalid("chain", `have at most ${AUTH_CHAIN_BYTES_MAX} bytes`, bytes);
  }
}

function checkLength(field: "token" | "capability", text: string, max: number): void {
  if (text.length > max) throw invalid(field, `have at most ${max} characters`, text.length);
}

function invalid(field: string, wanted: string, found: number): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${wanted}: found ${found}`, {
    field,
  });
}
