/**
 * Records on their way from the SDK's users (src/record/plain.ts) to the stored form that crosses the
 * wire; record_decoder.ts is the way back.
 */
import { agentCodec, gatewayCodec } from "../../schemas/gen/record.ts";
import {
  type AgentInput,
  agentToStored,
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

/** The stored form of an agent to register. @throws RegistryError `invalid_argument`. */
export function storedAgent(input: AgentInput, stamp: Stamp): Uint8Array {
  return agentCodec.encode(agentToStored(input, stamp));
}

/** The stored form of a gateway to register. @throws RegistryError `invalid_argument`. */
export function storedGateway(input: GatewayInput, stamp: Stamp): Uint8Array {
  return gatewayCodec.encode(gatewayToStored(input, stamp));
}
