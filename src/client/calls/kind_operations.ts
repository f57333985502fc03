/** The operations of each kind of record that has some of its own. */
import type { OperationName } from "../../wire/operations/mod.ts";
import type { ServedKind } from "../served_kind.ts";

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
} as const satisfies Record<ServedKind, Readonly<Record<string, OperationName>>>;
