/**
 * The operation table: all operations of all subjects. ARCHITECTURE.md, "Where to add things",
 * says how to add one.
 */
import { assert } from "../../base/assert.ts";
import type { StructCodec } from "../../../schemas/runtime/codec.ts";
import { DELEGATION_OPERATIONS } from "./delegations.ts";
import { GOVERNANCE_OPERATIONS } from "./governance.ts";
import { IDENTITY_OPERATIONS } from "./identities.ts";
import { MAPS_OPERATIONS } from "./maps.ts";
import { MIRROR_OPERATIONS } from "./mirrors.ts";
import { NODE_OPERATIONS } from "./node.ts";
import { joined, type Operation } from "./operation.ts";
import { RECORD_OPERATIONS } from "./records.ts";
import { REGION_OPERATIONS } from "./regions.ts";
import { RELAY_OPERATIONS } from "./relays.ts";
import { STEP_OPERATIONS } from "./steps.ts";
import { WATCH_OPERATIONS } from "./watches.ts";

export type { Operation, OperationTable } from "./operation.ts";

/** All operations, by name. */
export const OPERATIONS = joined(
  RECORD_OPERATIONS,
  NODE_OPERATIONS,
  IDENTITY_OPERATIONS,
  STEP_OPERATIONS,
  MIRROR_OPERATIONS,
  WATCH_OPERATIONS,
  REGION_OPERATIONS,
  GOVERNANCE_OPERATIONS,
  DELEGATION_OPERATIONS,
  MAPS_OPERATIONS,
  RELAY_OPERATIONS,
);

/** The name of an operation. */
export type OperationName = keyof typeof OPERATIONS;

/** The plain type that a codec reads and writes. */
type PlainOf<C> = C extends StructCodec<infer T, infer _V> ? T : never;

/** The request type of an operation. */
export type RequestOf<Name extends OperationName> = PlainOf<(typeof OPERATIONS)[Name]["request"]>;

/** The reply type of an operation. */
export type ReplyOf<Name extends OperationName> = PlainOf<(typeof OPERATIONS)[Name]["reply"]>;

/** All operations, by ascending id. */
export const OPERATION_LIST: readonly Operation[] = Object.values<Operation>(OPERATIONS)
  .sort((one, other) => one.id - other.id);

const operationById: readonly (Operation | undefined)[] = (() => {
  const byId: (Operation | undefined)[] = [];
  for (const operation of OPERATION_LIST) {
    assert(byId[operation.id] === undefined, `Operation id ${operation.id} must be used once`);
    byId[operation.id] = operation;
  }
  return byId;
})();

/** One more than the highest operation id; id 0 is not used. */
export const OPERATION_IDS_END = operationById.length;

/** Returns the operation with that id, or undefined if this version does not know it. */
export function operationOfId(id: number): Operation | undefined {
  return operationById[id];
}

/** Reports whether the operation with that id writes; false for one that this version does not know. */
export function isWriteOperation(id: number): boolean {
  return operationById[id]?.kind === "write";
}
