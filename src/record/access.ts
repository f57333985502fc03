/**
 * Access rules (design §8). Agents write their own record, claim the domains and name the gateways
 * that their identity grants. Gateways write their own record, with a domain that their identity
 * grants, and renew the agents attached to them. Both register in the region of their certificate.
 * Capabilities have the rights of their scopes. Proxies read, nodes talk to nodes, peer regions follow
 * this one, controllers administer, fronts open delegations, and clients without an identity ask for a
 * certificate and read what the operator permits. Records that name their owner, such as relays, are
 * written by that owner: a gateway, or a front on behalf of callers without an identity. Everything else
 * is denied.
 *
 * Pure functions of the authenticated peer, the operation's rule, and the known facts about the
 * key. An id that a request claims is a fact about its key and never identifies the caller.
 * docs/access.md lists the consequences for each operation.
 */
import { bytesEqual } from "../base/bytes.ts";
import type { CapabilityScope } from "../base/capability.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { AuthenticatedPeer, Grants, Role } from "../base/peer.ts";
import { formatUuid, isNilUuid, UUID_BYTES } from "../base/uuid.ts";
import { attachedIdOf, type OwnedRecord, type OwnedView, ownerNamedBy } from "./kind_row.ts";
import { RECORD_KINDS } from "./kinds.ts";

/**
 * The right an operation requires: `inspect` reads the state of the cluster; `govern` reads the governed
 * plane, `propose` makes and signs its proposals, `apply` applies them; `read` reads records;
 * `locate` reads relays and the agents placed at them; `discover` reads records of the Maps protocol;
 * `write` writes a record; `renew` renews its lease; `administer` changes members, placement, bans and
 * keys; `backup` reads all that the cluster stores; `peer` is for requests between nodes; `follow` is for requests between regions; `watching`
 * concerns the caller's own watches; `self` the caller's own identity; `join` asks for a certificate, the request itself being the proof;
 * `token` mints or presents a token for the caller's own certificate; `delegate` acts for others by
 * delegations.
 */
export type AccessRule =
  | "inspect"
  | "govern"
  | "propose"
  | "apply"
  | "read"
  | "locate"
  | "discover"
  | "write"
  | "renew"
  | "administer"
  | "backup"
  | "peer"
  | "follow"
  | "watching"
  | "self"
  | "join"
  | "token"
  | "delegate";

/**
 * Relation of a peer to a record: its owner, its gateway, an agent that may name it, or none of
 * them.
 */
export type Relation = "own" | "attached" | "granted" | "other";

/** Known facts about the record that an operation addresses. */
export interface KeyFacts {
  readonly kind: number;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** Domain that a register names; "" or absent means none. */
  readonly domain?: string;
  /**
   * Gateway (16 bytes) that the record names or is attached to (KindRow.attachedTo); absent means
   * unknown or none.
   */
  readonly gatewayId?: Uint8Array;
  /** Owner that the record names (KindRow.ownership); absent means unknown or none. */
  readonly ownerId?: Uint8Array;
  /** Region that a register names; absent for other operations. */
  readonly region?: string;
}

/** Settings by which an operator may relax the rules. */
export interface AccessPolicy {
  /** Treats sessions that were not pinned, which another server could relay, as pinned. */
  readonly trustUnpinned: boolean;
  /**
   * Reads permitted to a peer without an identity: none, the governed plane, or records too.
   * Default: `governed`.
   */
  readonly anonymous?: AnonymousReach;
}

/** Reads permitted to a peer without an identity. */
export type AnonymousReach = "none" | "governed" | "read";

/** The policy that relaxes nothing. */
export const STRICT_POLICY: AccessPolicy = Object.freeze({ trustUnpinned: false });

const ALL: readonly Relation[] = ["own", "attached", "granted", "other"];

/** Rights of every role that has an identity. */
const HOLDER = { self: ALL, inspect: ALL, govern: ALL, watching: ALL, join: ALL, token: ALL };

/** Rights of every role that reads all records. */
const READER = { read: ALL, locate: ALL, discover: ALL };

/** Relations to a record in which a role has a right; an absent right is denied. */
const REACH: Readonly<Record<Role, Partial<Record<AccessRule, readonly Relation[]>>>> = {
  agent: {
    ...HOLDER,
    read: ["own", "granted"],
    discover: ALL,
    write: ["own"],
    renew: ["own"],
  },
  // A gateway reads all records, because it authenticates agents by what the registry holds.
  gateway: { ...HOLDER, ...READER, write: ["own"], renew: ["own", "attached"] },
  proxy: { ...HOLDER, ...READER },
  // Administers, but writes nobody's record: only its owner can write an id.
  controller: { ...HOLDER, ...READER, administer: ALL, backup: ALL, propose: ALL, apply: ALL },
  node: { ...HOLDER, peer: ALL },
  // Narrowed further by its scopes.
  capability: {
    ...READER,
    ...{ self: ALL, inspect: ALL, govern: ALL, watching: ALL, propose: ALL, apply: ALL },
  },
  // What a front reads or writes it does as one of its callers, but for the relays of callers that bring no
  // identity: all fronts own these together, so that any of them can renew what another one registered.
  front: {
    ...{ self: ALL, inspect: ALL, join: ALL, delegate: ALL },
    ...{ locate: ALL, discover: ALL, write: ["own"], renew: ["own"] },
  },
  region: { self: ALL, follow: ALL, watching: ALL },
  development: {
    ...HOLDER,
    ...READER,
    ...{ write: ALL, renew: ALL, administer: ALL, backup: ALL, peer: ALL, follow: ALL },
    ...{ propose: ALL, apply: ALL, delegate: ALL },
  },
  // Narrowed further by AccessPolicy.anonymous.
  anonymous: { ...READER, self: ALL, join: ALL, govern: ALL, watching: ALL },
};

/** Rules that AccessPolicy.anonymous permits to a peer without an identity, beside `join` and `self`. */
const ANONYMOUS_RULES: Readonly<Record<AnonymousReach, readonly AccessRule[]>> = {
  none: [],
  governed: ["govern"],
  read: ["govern", "read", "locate", "discover", "watching"],
};

/** Rules that the scopes of capabilities permit, beside `self`. */
const SCOPE_RULES: Readonly<Record<CapabilityScope, readonly AccessRule[]>> = {
  "registry:read": ["govern"],
  "registry:propose": ["propose"],
  "registry:apply": ["apply"],
  "records:read": ["read", "locate", "discover", "watching"],
  "status:read": ["inspect"],
};

/** Rules allowed on a session that was not pinned. */
const READ_ONLY: readonly AccessRule[] = [
  "inspect",
  "govern",
  "read",
  "locate",
  "discover",
  "watching",
  "self",
  "join",
];

/**
 * Rules denied to a delegation that a front opened with a certificate alone. Certificates are no
 * secrets, so a stolen front could name that of a controller; and a token minted for it would be the
 * missing secret.
 */
const NOT_BY_CERTIFICATE: readonly AccessRule[] = [
  "administer",
  "backup",
  "propose",
  "apply",
  "token",
];

/**
 * Returns "allowed", or the code of the refusal: `unauthenticated` when the identity is no longer
 * valid, `permission_denied` when the peer lacks the right.
 *
 * @param facts absent when the operation addresses no particular record, or its record is not known
 * yet. An operation for owners only is then denied, unless the role may perform it on all records.
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
  const isPermitted = rule !== "write" || forbiddenName(peer, facts) === undefined;
  return isPermitted ? "allowed" : "permission_denied";
}

/**
 * Checks the part of {@link authorize} that does not depend on the record: a denial holds for every
 * record, "allowed" still has to be confirmed. Called before a request is examined.
 */
export function authorizeRole(
  peer: AuthenticatedPeer,
  rule: AccessRule,
  policy: AccessPolicy = STRICT_POLICY,
): "allowed" | ErrorCode {
  if (peer.revoked.aborted) return "unauthenticated";
  if (REACH[peer.role][rule] === undefined) return "permission_denied";
  if (peer.role === "anonymous" && !mayAnonymously(rule, policy)) return "permission_denied";
  if (peer.role === "capability" && !mayByScope(rule, peer)) return "permission_denied";
  const { delegated } = peer;
  if (delegated?.evidence === "certificate" && NOT_BY_CERTIFICATE.includes(rule)) {
    return "permission_denied";
  }
  return isTrusted(peer, policy) || READ_ONLY.includes(rule) ? "allowed" : "permission_denied";
}

function mayByScope(rule: AccessRule, { capability }: AuthenticatedPeer): boolean {
  return rule === "self" ||
    capability?.scopes.some((scope) => SCOPE_RULES[scope].includes(rule)) === true;
}

function mayAnonymously(rule: AccessRule, { anonymous = "governed" }: AccessPolicy): boolean {
  return rule === "join" || rule === "self" || ANONYMOUS_RULES[anonymous].includes(rule);
}

/**
 * Reports whether the role has the right on every record, so that no facts about one are needed.
 */
export function reachesAll(role: Role, rule: AccessRule): boolean {
  return REACH[role][rule] === ALL;
}

/**
 * Reports whether the peer may see the credential hash of a record that it may read. The owner, the
 * gateway that an agent is attached to, and identities granted it may; nobody may over a session
 * that can be relayed.
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

/** Reports whether {@link seesCredentialHash} holds for every record. */
export function seesAllCredentialHashes(peer: AuthenticatedPeer, policy = STRICT_POLICY): boolean {
  // Another region authenticates no agent of this one, whatever its certificate grants.
  if (peer.role === "region" || peer.role === "capability") return false;
  return peer.role === "development" ||
    peer.grants.credentialHashes === true && isTrusted(peer, policy);
}

/** Returns the id by which records name a peer as their owner: all fronts have the same one. */
export function ownerIdOf({ role, subjectId }: AuthenticatedPeer): Uint8Array {
  return role === "front" ? FRONTS_ID : subjectId;
}

const FRONTS_ID = new Uint8Array(UUID_BYTES);

/** Returns the facts about a stored record. */
export function recordFacts(kind: number, record: OwnedRecord | OwnedView): KeyFacts {
  const row = RECORD_KINDS.row(kind);
  const { id } = record;
  const [gatewayId, ownerId] = [attachedIdOf(row, record), ownerNamedBy(row, record)];
  return {
    kind,
    id,
    ...(gatewayId === undefined ? {} : { gatewayId }),
    ...(ownerId === undefined ? {} : { ownerId }),
  };
}

/** Returns the relation of the peer to a record. */
export function relationTo(peer: AuthenticatedPeer, facts: KeyFacts): Relation {
  const { id, gatewayId, ownerId } = facts;
  const row = RECORD_KINDS.find(facts.kind);
  // Nobody has a right to a record of an unknown kind but those who have it to all records.
  if (row === undefined) return "other";
  if (row.ownership !== undefined) {
    const isOwn = ownerId !== undefined && row.ownership.roles.includes(peer.role) &&
      bytesEqual(ownerIdOf(peer), ownerId);
    return isOwn ? "own" : "other";
  }
  if (peer.role === row.owner && bytesEqual(peer.subjectId, id)) return "own";
  if (peer.role === row.namedBy && grantsGateway(peer.grants, id)) return "granted";
  const attached = peer.role === row.attachedTo?.role && gatewayId !== undefined &&
    bytesEqual(peer.subjectId, gatewayId);
  return attached ? "attached" : "other";
}

function isTrusted(peer: AuthenticatedPeer, policy: AccessPolicy): boolean {
  if (peer.role === "anonymous") return false;
  return peer.pinned || policy.trustUnpinned || peer.role === "development";
}

/**
 * Returns the name in a record that its owner's identity does not permit; `undefined` if all are
 * permitted. A record must be in the region of its owner's certificate: lists and gateways are looked up by
 * region, and a region's authority vouches only for its own. An agent may claim, and a gateway name, only
 * domains that its identity grants, and an agent may name only gateways that its identity grants,
 * because proxies trust them. Kinds with free names are looked up apart from those: their regions are
 * names of other systems, and a front writes them for callers to whom nobody grants a domain.
 */
function forbiddenName(
  { role, grants, region: ownRegion }: AuthenticatedPeer,
  facts: KeyFacts,
): "region" | "domain" | "gateway" | undefined {
  const { kind, region } = facts;
  if (RECORD_KINDS.find(kind)?.ownership?.hasFreeNames === true) {
    if (role === "front") return undefined;
  } else if (region !== undefined && region !== ownRegion) return "region";
  return missingGrant(grants, facts);
}

/** Reports whether the grants cover all names in a record: its domain, and an agent's gateway. */
export function grantsNames(grants: Grants, facts: KeyFacts): boolean {
  return missingGrant(grants, facts) === undefined;
}

/** Returns the name in a record that the grants do not cover; `undefined` if all are covered. */
function missingGrant(
  grants: Grants,
  { kind, domain, gatewayId }: KeyFacts,
): "domain" | "gateway" | undefined {
  if (domain !== undefined && domain !== "" && !grantsDomain(grants.domains, domain)) {
    return "domain";
  }
  if (RECORD_KINDS.find(kind)?.attachedTo === undefined) return undefined;
  if (gatewayId === undefined || isNilUuid(gatewayId)) return undefined;
  return grantsGateway(grants, gatewayId) ? undefined : "gateway";
}

/**
 * Returns the reason why {@link authorize} denies a write: the session, or the record's owner,
 * region, domain or gateway.
 */
export function writeFault(
  peer: AuthenticatedPeer,
  facts: KeyFacts,
  policy: AccessPolicy = STRICT_POLICY,
): "session" | "owner" | "region" | "domain" | "gateway" {
  if (authorizeRole(peer, "write", policy) !== "allowed") return "session";
  if (relationTo(peer, facts) !== "own") return "owner";
  return forbiddenName(peer, facts) ?? "session";
}

function grantsGateway(grants: Grants, gatewayId: Uint8Array): boolean {
  return grants.gateways.length > 0 && grants.gateways.includes(formatUuid(gatewayId));
}

/** Reports whether a pattern is the domain, or is `*.` and a suffix of whole labels of it. */
export function grantsDomain(patterns: readonly string[], domain: string): boolean {
  return patterns.some((granted) =>
    granted === domain ||
    (granted.startsWith("*.") && domain.length > granted.length - 1 &&
      domain.endsWith(granted.slice(1)))
  );
}
