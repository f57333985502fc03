/**
 * Records on their way between the SDK's users (src/record/plain.ts) and the stored form that
 * crosses the wire.
 */
import {
  agentCodec,
  type AgentView,
  gatewayCodec,
  type GatewayView,
} from "../../schemas/gen/record.ts";
import {
  agentFromStored,
  type AgentInfo,
  type AgentInput,
  agentToStored,
  gatewayFromStored,
  type GatewayInfo,
  type GatewayInput,
  gatewayToStored,
} from "../record/plain.ts";
import type { Stamp } from "./ownership.ts";

export type {
  AgentInfo,
  AgentInput,
  GatewayInfo,
  GatewayInput,
  RecordPosition as Incarnation,
} from "../record/plain.ts";
export type { Capacity } from "../record/validation.ts";

/** The agent that `view` stands on; shares nothing with it. @throws RegistryError `malformed`. */
export function agentOf(view: AgentView): AgentInfo {
  return agentFromStored(view.toPlain());
}

/** The gateway that `view` stands on; shares nothing with it. @throws RegistryError `malformed`. */
export function gatewayOf(view: GatewayView): GatewayInfo {
  return gatewayFromStored(view.toPlain());
}

/** The stored form of an agent to register. @throws RegistryError `invalid_argument`. */
export function storedAgent(input: AgentInput, stamp: Stamp): Uint8Array {
  return agentCodec.encode(agentToStored(input, stamp));
}

/** The stored form of a gateway to register. @throws RegistryError `invalid_argument`. */
export function storedGateway(input: GatewayInput, stamp: Stamp): Uint8Array {
  return gatewayCodec.encode(gatewayToStored(input, stamp));
}
