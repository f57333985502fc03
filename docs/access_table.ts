/**
 * The access rules as tables, computed by calling the rule functions for each operation, each
 * relation to its record and each role. docs/access.md therefore shows exactly the rules that a
 * node enforces.
 */
import { CAPABILITY_SCOPES, type CapabilityRights } from "../src/base/capability.ts";
import type { AuthenticatedPeer, Role } from "../src/base/peer.ts";
import { formatUuid } from "../src/base/uuid.ts";
import {
  type AccessRule,
  authorize,
  authorizeRole,
  type KeyFacts,
  ownerIdOf,
  seesCredentialHash,
} from "../src/record/access.ts";
import { KIND_AGENT, KIND_GATEWAY, KIND_MAPS_AGENT } from "../src/record/key.ts";
import { kindOwnedBy, RECORD_KINDS, type RecordKind } from "../src/record/kinds.ts";
import { type Operation, OPERATION_LIST } from "../src/wire/operations/mod.ts";

/** Roles, in the order of the columns. */
export const ROLES: readonly Role[] = [
  "agent",
  "gateway",
  "proxy",
  "controller",
  "node",
  "front",
  "capability",
  "region",
  "development",
  "anonymous",
];

/** A row: an operation or rule, a record, and the roles that are allowed. */
export interface AccessRow {
  readonly what: string;
  readonly record: string;
  /** Allowed roles, in the order of {@link ROLES}. */
  readonly allowed: readonly Role[];
}

const OWN = new Uint8Array(16).fill(1);
const GRANTED_GATEWAY = new Uint8Array(16).fill(2);
const OTHER = new Uint8Array(16).fill(3);
const REGION = "eu";
const GRANTED_DOMAIN = "granted.example";

/** A capability with every scope, and no caveats but its end. */
const ALL_SCOPES: CapabilityRights = {
  capabilityId: formatUuid(OWN),
  scopes: CAPABILITY_SCOPES,
  idPrefixes: [],
  expiresAtMs: Infinity,
};

/** Returns a peer of a role with the own record, granted domain and granted gateway above. */
function peerOf(role: Role, fields: Partial<AuthenticatedPeer> = {}): AuthenticatedPeer {
  return {
    subject: `spiffe://registry.example/region/${REGION}/${role}/${formatUuid(OWN)}`,
    subjectId: OWN,
    role,
    region: REGION,
    leafHash: new Uint8Array(32),
    lineage: 1,
    grants: { domains: [GRANTED_DOMAIN], gateways: [formatUuid(GRANTED_GATEWAY)] },
    expiresAtMs: Infinity,
    pinned: true,
    revoked: new AbortController().signal,
    ...(role === "capability" ? { capability: ALL_SCOPES } : {}),
    ...fields,
  };
}

const FRONT = peerOf("front");

/** A record and its description in the table. */
interface Case {
  readonly record: string;
  readonly facts?: KeyFacts;
}

const AGENTS: readonly Case[] = [
  { record: "own agent", facts: { kind: KIND_AGENT, id: OWN } },
  { record: "agent attached", facts: { kind: KIND_AGENT, id: OTHER, gatewayId: OWN } },
  { record: "other agent", facts: { kind: KIND_AGENT, id: OTHER, gatewayId: OTHER } },
];
const GATEWAYS: readonly Case[] = [
  { record: "own gateway", facts: { kind: KIND_GATEWAY, id: OWN } },
  { record: "gateway granted", facts: { kind: KIND_GATEWAY, id: GRANTED_GATEWAY } },
  { record: "other gateway", facts: { kind: KIND_GATEWAY, id: OTHER } },
];
const OWN_AGENT: KeyFacts = {
  kind: KIND_AGENT,
  id: OWN,
  domain: GRANTED_DOMAIN,
  gatewayId: GRANTED_GATEWAY,
  region: REGION,
};
const AGENT_WRITES: readonly Case[] = [
  {
    record: "own agent, domain and gateway granted",
    facts: OWN_AGENT,
  },
  {
    record: "own agent, another domain",
    facts: { kind: KIND_AGENT, id: OWN, domain: "other.example", gatewayId: GRANTED_GATEWAY },
  },
  {
    record: "own agent, another gateway",
    facts: { kind: KIND_AGENT, id: OWN, domain: GRANTED_DOMAIN, gatewayId: OTHER },
  },
  {
    record: "own agent, another region",
    facts: { ...OWN_AGENT, region: "elsewhere" },
  },
  {
    record: "other agent, own gateway",
    facts: { kind: KIND_AGENT, id: OTHER, domain: GRANTED_DOMAIN, gatewayId: OWN },
  },
  {
    record: "other agent",
    facts: { kind: KIND_AGENT, id: OTHER, domain: GRANTED_DOMAIN, gatewayId: GRANTED_GATEWAY },
  },
];
const OWNED_GATEWAYS = GATEWAYS.filter(({ record }) => record !== "gateway granted");
const GATEWAY_WRITES: readonly Case[] = [
  {
    record: "own gateway, domain granted",
    facts: { kind: KIND_GATEWAY, id: OWN, domain: GRANTED_DOMAIN },
  },
  ...OWNED_GATEWAYS.filter(({ record }) => record !== "own gateway"),
  {
    record: "own gateway, another domain",
    facts: { kind: KIND_GATEWAY, id: OWN, domain: "other.example" },
  },
  {
    record: "own gateway, another region",
    facts: { kind: KIND_GATEWAY, id: OWN, region: "elsewhere" },
  },
];

/** Cases of a kind of record: named by a read, named by its owner, and carried by a request. */
type KindCases = Readonly<Record<"read" | "owned" | "carried", readonly Case[]>>;

/** The cases of the kinds whose access depends on more than their owner. */
const CASES: Readonly<Partial<Record<RecordKind, KindCases>>> = {
  [KIND_AGENT]: { read: AGENTS, owned: AGENTS, carried: AGENT_WRITES },
  [KIND_GATEWAY]: { read: GATEWAYS, owned: OWNED_GATEWAYS, carried: GATEWAY_WRITES },
};

/** Returns the cases of a kind whose access depends on its owner alone. */
function plainCases(kind: RecordKind): KindCases {
  const { name, owner, ownership } = RECORD_KINDS.row(kind);
  if (ownership !== undefined) return namedOwnerCases(kind, name);
  const own = owner === undefined ? [] : [{ record: `own ${name}`, facts: { kind, id: OWN } }];
  const cases = [...own, { record: `other ${name}`, facts: { kind, id: OTHER } }];
  return { read: cases, owned: cases, carried: cases };
}

/** Returns the cases of a kind whose records name their owner: no id but the owner's counts. */
function namedOwnerCases(kind: RecordKind, name: string): KindCases {
  const cases = [
    { record: `own ${name}`, facts: { kind, id: OTHER, ownerId: OWN } },
    { record: `${name} of the fronts`, facts: { kind, id: OTHER, ownerId: ownerIdOf(FRONT) } },
    { record: `other ${name}`, facts: { kind, id: OTHER, ownerId: OTHER } },
  ];
  const domain = "other.example";
  const carried = kind === KIND_MAPS_AGENT
    ? cases.map(({ record, facts }) => ({
      record: `${record}, domain not granted`,
      facts: { ...facts, domain },
    }))
    : [];
  return { read: cases, owned: cases, carried: [...cases, ...carried] };
}

/** Returns the records that an operation may concern, as far as access depends on them. */
function casesOf({ access, records }: Operation): readonly Case[] {
  const isOwnersOnly = access === "write" || access === "renew";
  // A read of records that the request does not name is for roles that may read all of them.
  const mayName = access === "read" && records?.several === true;
  const isOfNamed = mayName || access === "read" && records?.keyOf !== undefined;
  if (records === undefined || !isOwnersOnly && !isOfNamed) return [{ record: "any" }];
  const relation = records.carried === true ? "carried" : isOfNamed ? "read" : "owned";
  const cases = records.kinds.flatMap((kind) => (CASES[kind] ?? plainCases(kind))[relation]);
  return mayName ? [...cases, { record: "any" }] : cases;
}

function rolesThat(may: (role: Role) => boolean): Role[] {
  return ROLES.filter(may);
}

/** Returns a row for each operation and each record that it may concern. */
export function operationRows(): AccessRow[] {
  return OPERATION_LIST.flatMap((operation) =>
    casesOf(operation).map(({ record, facts }) => ({
      what: operation.name,
      record,
      allowed: rolesThat((role) => authorize(peerOf(role), operation.access, facts) === "allowed"),
    }))
  );
}

const RULES: readonly { rule: AccessRule; record: string }[] = [
  { rule: "inspect", record: "state of the cluster" },
  { rule: "govern", record: "the governed plane" },
  { rule: "propose", record: "proposals of descriptors" },
  { rule: "apply", record: "proposals of descriptors" },
  { rule: "read", record: "any record" },
  { rule: "locate", record: "any relay or placement" },
  { rule: "discover", record: "any record of the Maps protocol" },
  { rule: "write", record: "own record" },
  { rule: "renew", record: "own record" },
  { rule: "administer", record: "members, placement, bans, keys" },
  { rule: "backup", record: "all that the cluster stores" },
  { rule: "peer", record: "traffic between nodes" },
  { rule: "follow", record: "all records of global scope, for another region" },
  { rule: "watching", record: "the own watches" },
  { rule: "self", record: "the own identity" },
  { rule: "join", record: "a certificate, by join token or previous certificate" },
  { rule: "token", record: "a token bound to the own certificate" },
  { rule: "delegate", record: "delegations, by which a front acts for its callers" },
];

/** Returns a row for each rule, for a peer's own record, over sessions that are pinned or not. */
export function ruleRows(pinned: boolean): AccessRow[] {
  return RULES.map(({ rule, record }) => ({
    what: rule,
    record,
    allowed: rolesThat((role) => {
      const own = { kind: kindOwnedBy(role) ?? KIND_AGENT, id: OWN };
      const peer = peerOf(role, { pinned });
      const facts = rule === "write" || rule === "renew" ? own : undefined;
      return authorize(peer, rule, facts) === "allowed";
    }),
  }));
}

/** Returns rows for the visibility of credential hashes in records that are read. */
export function credentialRows(): AccessRow[] {
  const cases = [...AGENTS, ...OWNED_GATEWAYS];
  const rows = (what: string, fields: Partial<AuthenticatedPeer>) =>
    cases.map(({ record, facts }) => ({
      what,
      record,
      allowed: rolesThat((role) =>
        facts !== undefined && seesCredentialHash(peerOf(role, fields), facts)
      ),
    }));
  const granted = { grants: { domains: [], gateways: [], credentialHashes: true } };
  return [
    ...rows("without the grant", {}),
    ...rows("with the grant", granted),
    ...rows("with the grant, not pinned", { ...granted, pinned: false }),
  ];
}

/** Returns a row for each scope of capabilities, with the operations that it permits. */
export function scopeRows(): readonly { readonly scope: string; readonly operations: string[] }[] {
  return CAPABILITY_SCOPES.map((scope) => {
    const peer = peerOf("capability", { capability: { ...ALL_SCOPES, scopes: [scope] } });
    const operations = OPERATION_LIST
      .filter(({ access }) => authorizeRole(peer, access) === "allowed")
      .map(({ name }) => name);
    return { scope, operations };
  });
}
