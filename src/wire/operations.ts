/**
 * The operation table: each operation once, with everything that dispatch, SDK, command line and
 * documentation need to know about it. Ids never change; a new operation takes the next id.
 *
 * To add an operation, add its structs to `schemas/wire.capnp`, its entry here, its handler in the
 * node's read or write path, and its method in the client.
 */
import {
  auditReplyCodec,
  auditRequestCodec,
  banReplyCodec,
  banRequestCodec,
  bansReplyCodec,
  bansRequestCodec,
  deregisterReplyCodec,
  deregisterRequestCodec,
  emptyCodec,
  enrolRequestCodec,
  identityReplyCodec,
  idRequestCodec,
  issueTokenRequestCodec,
  joinTokenReplyCodec,
  joinTokenRequestCodec,
  lineageReplyCodec,
  lineageRequestCodec,
  listReplyCodec,
  listRequestCodec,
  mintTokenRequestCodec,
  recordReplyCodec,
  registerManyReplyCodec,
  registerManyRequestCodec,
  registerReplyCodec,
  registerRequestCodec,
  removeMemberRequestCodec,
  removeRecordRequestCodec,
  renewIdentityRequestCodec,
  renewReplyCodec,
  renewRequestCodec,
  reportReplyCodec,
  reportRequestCodec,
  resolveGatewaysRequestCodec,
  resolveManyReplyCodec,
  resolveManyRequestCodec,
  resolveReplyCodec,
  resolveRequestCodec,
  ringMapCodec,
  statusReplyCodec,
  textReplyCodec,
  useTokenReplyCodec,
  useTokenRequestCodec,
} from "../../schemas/gen/wire.ts";
import type { StructCodec, StructLayout } from "../../schemas/runtime/codec.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { AccessRule } from "../record/access.ts";

/**
 * The target of an operation: the one partition of its key, several partitions, the system group,
 * or this node.
 */
export type KeyRule = "agent_id" | "gateway_id" | "domain" | "record" | "many" | "system" | "node";

/** The description of one operation. */
export interface Operation {
  /** The id on the wire. */
  readonly id: number;
  readonly name: string;
  readonly kind: "read" | "write";
  readonly key: KeyRule;
  /**
   * Whether sending it twice has the same effect as sending it once, so that a client may repeat it
   * when a reply is lost. Registers are repeatable: they carry their process and sequence.
   */
  readonly repeatable: boolean;
  readonly access: AccessRule;
  // deno-lint-ignore no-explicit-any -- the table holds codecs of all types; rows keep their own.
  readonly request: StructCodec<any, any>;
  // deno-lint-ignore no-explicit-any -- as above.
  readonly reply: StructCodec<any, any>;
  /** Cost in tokens of the caller's rate limit, in addition to one token per item it names. */
  readonly cost: number;
  /** Error codes specific to this operation, in addition to {@link COMMON_CODES}. */
  readonly codes: readonly ErrorCode[];
}

/** Error codes that every operation may return. */
export const COMMON_CODES: readonly ErrorCode[] = [
  "malformed",
  "invalid_argument",
  "permission_denied",
  "deadline_exceeded",
  "overloaded",
  "not_leader",
  "not_replica",
  "shutting_down",
  "internal",
];

const REGISTER_CODES: readonly ErrorCode[] = [
  "superseded",
  "stale_sequence",
  "incarnation_mismatch",
  "domain_taken",
  "claim_revoked",
  "storage_unavailable",
];

/** All operations, by name. */
export const OPERATIONS = {
  getAgent: {
    id: 1,
    name: "getAgent",
    kind: "read",
    key: "agent_id",
    repeatable: true,
    access: "read",
    request: idRequestCodec,
    reply: recordReplyCodec,
    cost: 1,
    codes: ["not_found", "too_stale"],
  },
  getGateway: {
    id: 2,
    name: "getGateway",
    kind: "read",
    key: "gateway_id",
    repeatable: true,
    access: "read",
    request: idRequestCodec,
    reply: recordReplyCodec,
    cost: 1,
    codes: ["not_found", "too_stale"],
  },
  resolveAgent: {
    id: 3,
    name: "resolveAgent",
    kind: "read",
    key: "domain",
    repeatable: true,
    access: "read",
    request: resolveRequestCodec,
    reply: resolveReplyCodec,
    cost: 2,
    codes: ["not_found", "too_stale"],
  },
  resolveAgents: {
    id: 4,
    name: "resolveAgents",
    kind: "read",
    key: "many",
    repeatable: true,
    access: "read",
    request: resolveManyRequestCodec,
    reply: resolveManyReplyCodec,
    cost: 2,
    codes: ["too_large", "too_stale"],
  },
  resolveGateways: {
    id: 5,
    name: "resolveGateways",
    kind: "read",
    key: "node",
    repeatable: true,
    access: "read",
    request: resolveGatewaysRequestCodec,
    reply: listReplyCodec,
    cost: 200,
    codes: ["too_stale"],
  },
  listAgentsByRegion: {
    id: 6,
    name: "listAgentsByRegion",
    kind: "read",
    key: "node",
    repeatable: true,
    access: "read",
    request: listRequestCodec,
    reply: listReplyCodec,
    cost: 200,
    codes: ["too_stale"],
  },
  listGatewaysByRegion: {
    id: 7,
    name: "listGatewaysByRegion",
    kind: "read",
    key: "node",
    repeatable: true,
    access: "read",
    request: listRequestCodec,
    reply: listReplyCodec,
    cost: 200,
    codes: ["too_stale"],
  },
  registerAgent: {
    id: 8,
    name: "registerAgent",
    kind: "write",
    key: "record",
    repeatable: true,
    access: "write",
    request: registerRequestCodec,
    reply: registerReplyCodec,
    cost: 10,
    codes: REGISTER_CODES,
  },
  registerGateway: {
    id: 9,
    name: "registerGateway",
    kind: "write",
    key: "record",
    repeatable: true,
    access: "write",
    request: registerRequestCodec,
    reply: registerReplyCodec,
    cost: 10,
    codes: REGISTER_CODES,
  },
  registerMany: {
    id: 10,
    name: "registerMany",
    kind: "write",
    key: "many",
    repeatable: true,
    access: "write",
    request: registerManyRequestCodec,
    reply: registerManyReplyCodec,
    cost: 10,
    codes: ["too_large", ...REGISTER_CODES],
  },
  renew: {
    id: 11,
    name: "renew",
    kind: "write",
    key: "many",
    repeatable: true,
    access: "renew",
    request: renewRequestCodec,
    reply: renewReplyCodec,
    cost: 1,
    codes: ["too_large", "storage_unavailable"],
  },
  deregisterAgent: {
    id: 12,
    name: "deregisterAgent",
    kind: "write",
    key: "agent_id",
    repeatable: true,
    access: "write",
    request: deregisterRequestCodec,
    reply: deregisterReplyCodec,
    cost: 10,
    codes: ["not_found", "superseded", "stale_sequence", "storage_unavailable"],
  },
  deregisterGateway: {
    id: 13,
    name: "deregisterGateway",
    kind: "write",
    key: "gateway_id",
    repeatable: true,
    access: "write",
    request: deregisterRequestCodec,
    reply: deregisterReplyCodec,
    cost: 10,
    codes: ["not_found", "superseded", "stale_sequence", "storage_unavailable"],
  },
  report: {
    id: 14,
    name: "report",
    kind: "write",
    key: "record",
    repeatable: true,
    access: "write",
    request: reportRequestCodec,
    reply: reportReplyCodec,
    cost: 10,
    codes: ["not_found", "superseded", "stale_sequence", "storage_unavailable"],
  },
  status: {
    id: 15,
    name: "status",
    kind: "read",
    key: "node",
    repeatable: true,
    access: "inspect",
    request: emptyCodec,
    reply: statusReplyCodec,
    cost: 10,
    codes: [],
  },
  getRingMap: {
    id: 16,
    name: "getRingMap",
    kind: "read",
    key: "node",
    repeatable: true,
    access: "inspect",
    request: emptyCodec,
    reply: ringMapCodec,
    cost: 10,
    codes: [],
  },
  createJoinToken: {
    id: 17,
    name: "createJoinToken",
    kind: "write",
    key: "system",
    repeatable: false,
    access: "administer",
    request: joinTokenRequestCodec,
    reply: joinTokenReplyCodec,
    cost: 100,
    codes: ["storage_unavailable"],
  },
  enrol: {
    id: 18,
    name: "enrol",
    kind: "write",
    key: "system",
    repeatable: true,
    access: "join",
    request: enrolRequestCodec,
    reply: identityReplyCodec,
    cost: 100,
    codes: ["unauthenticated", "invalid_configuration", "storage_unavailable"],
  },
  renewIdentity: {
    id: 19,
    name: "renewIdentity",
    kind: "write",
    key: "system",
    repeatable: true,
    access: "join",
    request: renewIdentityRequestCodec,
    reply: identityReplyCodec,
    cost: 100,
    codes: ["unauthenticated", "invalid_configuration", "storage_unavailable"],
  },
  mintToken: {
    id: 20,
    name: "mintToken",
    kind: "write",
    key: "system",
    repeatable: true,
    access: "token",
    request: mintTokenRequestCodec,
    reply: textReplyCodec,
    cost: 100,
    codes: ["invalid_configuration", "too_large"],
  },
  getTokenKeys: {
    id: 21,
    name: "getTokenKeys",
    kind: "read",
    key: "system",
    repeatable: true,
    access: "inspect",
    request: emptyCodec,
    reply: textReplyCodec,
    cost: 10,
    codes: [],
  },
  getTrustBundle: {
    id: 22,
    name: "getTrustBundle",
    kind: "read",
    key: "system",
    repeatable: true,
    access: "inspect",
    request: emptyCodec,
    reply: textReplyCodec,
    cost: 100,
    codes: ["not_found"],
  },
  ban: {
    id: 23,
    name: "ban",
    kind: "write",
    key: "system",
    repeatable: true,
    access: "administer",
    request: banRequestCodec,
    reply: banReplyCodec,
    cost: 100,
    codes: ["not_found", "storage_unavailable"],
  },
  unban: {
    id: 24,
    name: "unban",
    kind: "write",
    key: "system",
    repeatable: false,
    access: "administer",
    request: banRequestCodec,
    reply: banReplyCodec,
    cost: 100,
    codes: ["not_found", "storage_unavailable"],
  },
  readAudit: {
    id: 25,
    name: "readAudit",
    kind: "read",
    key: "system",
    repeatable: true,
    access: "administer",
    request: auditRequestCodec,
    reply: auditReplyCodec,
    cost: 200,
    codes: [],
  },
  getLineage: {
    id: 26,
    name: "getLineage",
    kind: "read",
    key: "system",
    repeatable: true,
    access: "read",
    request: lineageRequestCodec,
    reply: lineageReplyCodec,
    cost: 1,
    codes: ["not_found"],
  },
  removeRecord: {
    id: 27,
    name: "removeRecord",
    kind: "write",
    key: "record",
    repeatable: true,
    access: "administer",
    request: removeRecordRequestCodec,
    reply: deregisterReplyCodec,
    cost: 100,
    codes: ["not_found", "storage_unavailable"],
  },
  useToken: {
    id: 28,
    name: "useToken",
    kind: "write",
    key: "node",
    repeatable: true,
    access: "token",
    request: useTokenRequestCodec,
    reply: useTokenReplyCodec,
    cost: 10,
    codes: ["unauthenticated", "invalid_configuration"],
  },
  issueToken: {
    id: 29,
    name: "issueToken",
    kind: "write",
    key: "system",
    repeatable: true,
    access: "administer",
    request: issueTokenRequestCodec,
    reply: textReplyCodec,
    cost: 100,
    codes: ["not_found", "invalid_configuration", "too_large", "storage_unavailable"],
  },
  removeMember: {
    id: 30,
    name: "removeMember",
    kind: "write",
    key: "system",
    repeatable: true,
    access: "administer",
    request: removeMemberRequestCodec,
    reply: emptyCodec,
    cost: 100,
    codes: ["not_found", "invalid_configuration", "storage_unavailable"],
  },
  listBans: {
    id: 31,
    name: "listBans",
    kind: "read",
    key: "system",
    repeatable: true,
    access: "administer",
    request: bansRequestCodec,
    reply: bansReplyCodec,
    cost: 200,
    codes: [],
  },
} as const satisfies Record<string, Operation>;

/** The name of an operation. */
export type OperationName = keyof typeof OPERATIONS;

/** The plain type that a codec reads and writes. */
type PlainOf<C> = C extends { readonly layout: StructLayout<infer T, infer _V> } ? T : never;

/** The request type of an operation. */
export type RequestOf<Name extends OperationName> = PlainOf<(typeof OPERATIONS)[Name]["request"]>;

/** The reply type of an operation. */
export type ReplyOf<Name extends OperationName> = PlainOf<(typeof OPERATIONS)[Name]["reply"]>;

const operationById: readonly (Operation | undefined)[] = (() => {
  const byId: (Operation | undefined)[] = [];
  for (const operation of Object.values(OPERATIONS)) byId[operation.id] = operation;
  return byId;
})();

/** One more than the highest operation id; id 0 is not used. */
export const OPERATION_IDS_END = operationById.length;

/** Returns the operation with that id, or undefined if this version does not know it. */
export function operationOfId(id: number): Operation | undefined {
  return operationById[id];
}
