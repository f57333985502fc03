/**
 * Who may do what (design §8): agents write their own record, gateways theirs and renew the agents
 * attached to them, controllers administer, proxies read, the development identity does everything.
 *
 * Pure: the proven other end of a session, the operation's rule, and what is known of the key. Asked
 * at admission, and again with the stored record's facts where the answer depends on state.
 */
import { bytesEqual } from "../base/bytes.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { AuthenticatedPeer, Grants } from "../base/peer.ts";
import { formatUuid, isNilUuid } from "../base/uuid.ts";
import { KIND_AGENT, KIND_GATEWAY } from "./key.ts";

/**
 * What an operation needs: `read` anybody who is known; `write` the owner; `renew` the owner, or the
 * gateway that an agent is attached to; `administer` a controller.
 */
export type AccessRule = "read" | "write" | "renew" | "administer";

/** What is known of the record that an operation is about. */
export interface KeyFacts {
  readonly kind: number;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** The domain that a register names; "" or absent: none. */
  readonly domain?: string;
  /** The gateway (16 bytes) that an agent names or is attached to; absent: not known, or none. */
  readonly gatewayId?: Uint8Array;
}

/** What an operator may loosen. */
export interface AccessPolicy {
  /** Lets sessions write that were not pinned, and so could be relayed by another server. */
  readonly unpinnedMayWrite: boolean;
}

const STRICT: AccessPolicy = Object.freeze({ unpinnedMayWrite: false });

/**
 * Allows the operation, or says why not: `unauthenticated` where the identity no longer counts,
 * `permission_denied` where it is another's business.
 */
export function authorize(
  peer: AuthenticatedPeer,
  rule: AccessRule,
  facts?: KeyFacts,
  policy: AccessPolicy = STRICT,
): "allowed" | ErrorCode {
  if (peer.revoked.aborted) return "unauthenticated";
  if (peer.role === "development") return "allowed";
  if (rule === "read") return "allowed";
  if (!peer.pinned && !policy.unpinnedMayWrite) return "permission_denied";
  if (peer.role === "controller") return "allowed";
  if (rule === "administer" || facts === undefined) return "permission_denied";
  if (ownsKey(peer, facts)) {
    return rule === "write" && !isGranted(peer.grants, facts) ? "permission_denied" : "allowed";
  }
  return rule === "renew" && isAttached(peer, facts) ? "allowed" : "permission_denied";
}

function ownsKey(peer: AuthenticatedPeer, { kind, id }: KeyFacts): boolean {
  const ownKind = peer.role === "agent"
    ? KIND_AGENT
    : peer.role === "gateway"
    ? KIND_GATEWAY
    : undefined;
  return kind === ownKind && bytesEqual(peer.subjectId, id);
}

function isAttached(peer: AuthenticatedPeer, { kind, gatewayId }: KeyFacts): boolean {
  return peer.role === "gateway" && kind === KIND_AGENT && gatewayId !== undefined &&
    bytesEqual(peer.subjectId, gatewayId);
}

/** An agent claims only domains, and names only gateways, that its identity grants. */
function isGranted(grants: Grants, { kind, domain, gatewayId }: KeyFacts): boolean {
  if (kind !== KIND_AGENT) return true;
  if (domain !== undefined && domain !== "" && !grantsDomain(grants, domain)) return false;
  return gatewayId === undefined || isNilUuid(gatewayId) ||
    grants.gateways.includes(formatUuid(gatewayId));
}

/** True where a grant names the domain, or `*.` and a suffix of whole labels before it. */
export function grantsDomain(grants: Grants, domain: string): boolean {
  return grants.domains.some((granted) =>
    granted === domain ||
    (granted.startsWith("*.") && domain.length > granted.length - 1 &&
      domain.endsWith(granted.slice(1)))
  );
}
