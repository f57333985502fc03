/** The operations of each kind of record. */
import type { RecordKindName } from "../../record/kinds.ts";
import type { OperationName } from "../../wire/operations/mod.ts";

/** Names of the operations on records of one kind. */
export const KIND_OPERATIONS = {
  agent: {
    get: "getAgent",
    list: "listAgentsByRegion",
    register: "registerAgent",
    deregister: "deregisterAgent",
  },
  gateway: {
    get: "getGateway",
    list: "listGatewaysByRegion",
    register: "registerGateway",
    deregister: "deregisterGateway",
  },
} as const satisfies Partial<Record<RecordKindName, Readonly<Record<string, OperationName>>>>;

/** The name of a kind that has operations of its own. */
export type ServedKind = keyof typeof KIND_OPERATIONS;
