/** The public interface of the SDK; the root `mod.ts` re-exports it. */
export { connect } from "./client.ts";
export { ageBoundMsOf } from "./receipts.ts";
export {
  askUnauthenticated,
  type UnauthenticatedOptions,
  type UnauthenticatedOrders,
} from "./unauthenticated.ts";
export {
  type GovernedFault,
  type GovernedVerdict,
  GovernedVerifier,
  type GovernedVerifierOptions,
  type VerifiedHistory,
} from "./governed/governed_verifier.ts";
export type * from "./governed/governed_types.ts";
export {
  type BundleDefect,
  type BundleVerdict,
  type VerifiedBundle,
  type VerifiedDescriptor,
  verifyBundle,
} from "../governance/verification/verify_bundle.ts";
export { mapsIdOf } from "./maps_ids.ts";
export type * from "./identity_types.ts";
export type * from "./relay_types.ts";
export type * from "./credentials.ts";
export type * from "./types.ts";
export type { Guarded, GuardedRequest, RequestFault } from "../../identity/capabilities/guarded.ts";
export { attenuate as attenuateCapability } from "../../identity/capabilities/capability.ts";
export type { Caveat } from "../../identity/capabilities/caveat.ts";
export type { RecordKindName } from "../record/kinds.ts";
export type {
  AgentInfo,
  AgentInput,
  Capacity,
  GatewayInfo,
  GatewayInput,
  Incarnation,
  MapsAgentInfo,
  MapsAgentInput,
  MapsCapacity,
  MapsGatewayInfo,
  MapsGatewayInput,
  MapsSeederInfo,
  MapsSeederInput,
} from "./records.ts";
