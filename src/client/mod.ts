/** The public interface of the SDK; the root `mod.ts` re-exports it. */
export { connect } from "./client.ts";
export { ageBoundMsOf } from "./receipts.ts";
export {
  askUnauthenticated,
  type UnauthenticatedOptions,
  type UnauthenticatedOrders,
} from "./unauthenticated.ts";
export type * from "./identity_types.ts";
export type * from "./credentials.ts";
export type * from "./types.ts";
export type { RecordKindName } from "../record/kinds.ts";
export type {
  AgentInfo,
  AgentInput,
  Capacity,
  GatewayInfo,
  GatewayInput,
  Incarnation,
} from "./records.ts";
