/** Evidence that a front presents for one of its callers, and its form on the wire. */
import { EVIDENCE_KINDS, type OpenDelegationRequest } from "../../../schemas/gen/wire.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";

/**
 * Evidence that a front presents for one of its callers, unless that is a capability. The front must
 * have had the caller prove possession of the certificate's key, as TLS does; the registry checks
 * everything else.
 */
export type CallerEvidence =
  & {
    /** Address of the caller, for the registry's log. */
    readonly address?: string;
  }
  & (
    | {
      readonly kind: "certificate";
      /** DER, the caller's certificate first, without the root. */
      readonly chain: readonly Uint8Array[];
      /** An access token bound to that certificate. */
      readonly token?: string;
    }
    | {
      readonly kind: "token";
      readonly token: string;
      /** SHA-256 of the caller's certificate, to which the token is bound. */
      readonly leafHash: Uint8Array;
    }
    /** The caller is anonymous. */
    | { readonly kind: "none" }
  );

/** A capability as evidence; what it opens is guarded by its caveats on requests. */
export interface CapabilityEvidence {
  readonly kind: "capability";
  readonly capability: string;
  readonly address?: string;
}

const NOTHING: Input<OpenDelegationRequest> = {
  evidence: EVIDENCE_KINDS.none,
  chain: [],
  token: "",
  leafHash: new Uint8Array(0),
  capability: "",
  address: "",
};

/** Returns the request that opens a delegation by the evidence. */
export function openRequest(
  evidence: CallerEvidence | CapabilityEvidence,
): Input<OpenDelegationRequest> {
  const { kind, address = "" } = evidence;
  const request = { ...NOTHING, evidence: EVIDENCE_KINDS[kind], address };
  switch (kind) {
    case "certificate":
      return { ...request, chain: [...evidence.chain], token: evidence.token ?? "" };
    case "token":
      return { ...request, token: evidence.token, leafHash: evidence.leafHash };
    case "capability":
      return { ...request, capability: evidence.capability };
    case "none":
      return request;
  }
}
