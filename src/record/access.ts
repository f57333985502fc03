/**
 * Who may do what (design §8). Agents touch their own record, claim the domains and name the gateways
 * that their identity grants; gateways write their own record, with a domain that their identity
 * grants, and renew the agents attached to them; both register in the region of their certificate; proxies read; nodes speak with nodes; controllers
 * administer; strangers ask for a certificate. What is not said here is denied.
 *
 * Pure: the proven other end of a session, the operation's rule, and what is known of the key. An id
 * that a request claims is a fact about its key and never says who asks. docs/access.md shows what
 * follows for each operation.
 */
import { bytesEqual } from "../base/bytes.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { AuthenticatedPeer, Grants, Role } from "../base/peer.ts";
import { formatUuid, isNilUuid } from "../base/uuid.ts";
import { KIND_AGENT, KIND_GATEWAY } from "./key.ts";

/**
 * What an operation needs: `inspect` how the cluster stands; `read` records; `write` one; `renew`
 * its lease; `administer` members, placement, bans and keys; `peer` what nodes ask of each other;
 * `join` a certificate, the request being proof enough; `token` one for one's own certificate, to mint
 * or to show.
 */
export type AccessRule =
  | "inspect"
  | "read"
  | "write"
  | "renew"
  | "administer"
  | "peer"
  | "join"
  | "token";

/** Who stands how to a record: its owner, its gateway, an agent that may name it, anybody else. */
export type Relation = "own" | "attached" | "granted" | "other";

/** What is known of the record that an operation is about. */
export interface KeyFacts {
  readonly kind: number;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** The domain that a register names; "" or absent: none. */
  readonly domain?: string;
  /** The gateway (16 bytes) that an agent names or is attached to; absent: not known, or none. */
  readonly gatewayId?: Uint8Array;
  /** The region that a register names; absent: it is none. */
  readonly region?: string;
}

/** What an operator may loosen. */
export interface AccessPolicy {
  /** Treats sessions that were not pinned, and so could be relayed by another server, as pinned. */
  readonly trustUnpinned: boolean;
}

/** Nothing is loosened. */
export const STRICT_POLICY: AccessPolicy = Object.freeze({ trustUnpinned: false });

const ALL: readonly Relation[] = ["own", "attached", "granted", "other"];

/** What everybody with an identity may do. */
const HOLDER = { inspect: ALL, join: ALL, token: ALL };

/** The relations to a record in which a role may do something; none where nothing is said. */
const REACH: Readonly<Record<Role, Partial<Record<AccessRule, readonly Relation[]>>>> = {
  agent: {
    ...HOLDER,
    read: ["own", "granted"],
    write: ["own"],
    renew: ["own"],
  },
  // A gateway reads all, for it logs agents in by what the registry says.
  gateway: { ...HOLDER, read: ALL, write: ["own"], renew: ["own", "attached"] },
  proxy: { ...HOLDER, read: ALL },
  // It administers, and yet writes nobody's record: no id can be written but by its owner.
  controller: { ...HOLDER, read: ALL, administer: ALL },
  node: { ...HOLDER, peer: ALL },
  development: { ...HOLDER, read: ALL, write: ALL, renew: ALL, administer: ALL, peer: ALL },
  stranger: { join: ALL },
};

/** Rules that a session may use which was not pinned. */
const READ_ONLY: readonly AccessRule[] = ["inspect", "read", "join"];

/**
 * Allows the operation, or says why not: `unauthenticated` where the identity no longer counts,
 * `permission_denied` where it is another's business.
 *
 * @param facts absent where the operation is about no record in particular, or not yet about one: an
 * operation that only owners may use is denied then, unless the role may do it to all.
 */
export function authorize(
  peer: AuthenticatedPeer,
  rule: AccessRule,
  facts?: KeyFacts,
  policy: AccessPolicy = STRICT_POLICY,
): "allowed" | ErrorCode {
  const answer = authorizeRole(peer, rule, policy);
  if (answer !== "allowed") return answer;
  const reach = REACH[peer.role][rule] ?? [];
  if (reach === ALL) return "allowed";
  if (facts === undefined || !reach.includes(relationTo(peer, facts))) return "permission_denied";
  return rule !== "write" || isGranted(peer, facts) ? "allowed" : "permission_denied";
}

/**
 * As {@link authorize}, as far as it does not hang on the record: denied is denied for every record,
 * and allowed decides nothing yet. What is asked before a request is looked into.
 */
export function authorizeRole(
  peer: AuthenticatedPeer,
  rule: AccessRule,
  policy: AccessPolicy = STRICT_POLICY,
): "allowed" | ErrorCode {
  if (peer.revoked.aborted) return "unauthenticated";
  if (REACH[peer.role][rule] === undefined) return "permission_denied";
  return isTrusted(peer, policy) || READ_ONLY.includes(rule) ? "allowed" : "permission_denied";
}

/** True where the role may do it to every record, so that no facts of one are needed. */
export function reachesAll(role: Role, rule: AccessRule): boolean {
  return REACH[role][rule] === ALL;
}

/**
 * May the peer see the credential hash of a record that it may read? Its owner may, the gateway that
 * an agent is attached to, and whoever was granted it; over a session that can be relayed, nobody.
 */
export function seesCredentialHash(
  peer: AuthenticatedPeer,
  facts: KeyFacts,
  policy: AccessPolicy = STRICT_POLICY,
): boolean {
  if (seesAllCredentialHashes(peer, policy)) return true;
  if (!isTrusted(peer, policy)) return false;
  const relation = relationTo(peer, facts);
  return relation === "own" || relation === "attached";
}

/** True where {@link seesCredentialHash} is for every record. */
export function seesAllCredentialHashes(peer: AuthenticatedPeer, policy = STRICT_POLICY): boolean {
  return peer.role === "development" ||
    peer.grants.credentialHashes === true && isTrusted(peer, policy);
}

/** How the peer stands to a record. */
export function relationTo(peer: AuthenticatedPeer, facts: KeyFacts): Relation {
  const { kind, id, gatewayId } = facts;
  if (peer.role === "agent") {
    if (kind === KIND_AGENT && bytesEqual(peer.subjectId, id)) return "own";
    return kind === KIND_GATEWAY && grantsGateway(peer.grants, id) ? "granted" : "other";
  }
  if (peer.role !== "gateway") return "other";
  if (kind === KIND_GATEWAY && bytesEqual(peer.subjectId, id)) return "own";
  const attached = kind === KIND_AGENT && gatewayId !== undefined &&
    bytesEqual(peer.subjectId, gatewayId);
  return attached ? "attached" : "other";
}

function isTrusted(peer: AuthenticatedPeer, policy: AccessPolicy): boolean {
  if (peer.role === "stranger") return false;
  return peer.pinned || policy.trustUnpinned || peer.role === "development";
}

/**
 * A record stands in the region of its owner's certificate: lists and gateways are looked up by it,
 * and a region's authority answers for its own alone. An agent claims only domains, a gateway names
 * only domains, and an agent names only gateways, that its identity grants: proxies believe them.
 */
function isGranted({ grants, region: ownRegion }: AuthenticatedPeer, facts: KeyFacts): boolean {
  const { region } = facts;
  return (region === undefined || region === ownRegion) && grantsNames(grants, facts);
}

/** True where the grants cover all that a record names: its domain, and an agent's gateway. */
export function grantsNames(grants: Grants, facts: KeyFacts): boolean {
  return missingGrant(grants, facts) === undefined;
}

/** What a record names and the grants do not cover; `undefined`: nothing. */
function missingGrant(
  grants: Grants,
  { kind, domain, gatewayId }: KeyFacts,
): "domain" | "gateway" | undefined {
  if (domain !== undefined && domain !== "" && !grantsDomain(grants, domain)) return "domain";
  if (kind !== KIND_AGENT || gatewayId === undefined || isNilUuid(gatewayId)) return undefined;
  return grantsGateway(grants, gatewayId) ? undefined : "gateway";
}

/**
 * What keeps a peer from writing a record, where {@link authorize} denies it: its session, the record's
 * owner, region, domain or gateway.
 */
export function writeFault(
  peer: AuthenticatedPeer,
  facts: KeyFacts,
  policy: AccessPolicy = STRICT_POLICY,
): "session" | "owner" | "region" | "domain" | "gateway" {
  if (authorizeRole(peer, "write", policy) !== "allowed") return "session";
  if (relationTo(peer, facts) !== "own") return "owner";
  if (facts.region !== undefined && facts.region !== peer.region) return "region";
  return missingGrant(peer.grants, facts) ?? "session";
}

function grantsGateway(grants: Grants, gatewayId: Uint8Array): boolean {
  return grants.gateways.length > 0 && grants.gateways.includes(formatUuid(gatewayId));
}

/** True where a grant names the domain, or `*.` and a suffix of whole labels before it. */
export function grantsDomain(grants: Grants, domain: string): boolean {
  return grants.domains.some((granted) =>
    granted === domain ||
    (granted.startsWith("*.") && domain.length > granted.length - 1 &&
      domain.endsWith(granted.slice(1)))
  );
}
