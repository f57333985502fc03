/**
 * Records on their way from the SDK's users (src/record/plain.ts) to the stored form that crosses the
 * wire; record_decoder.ts is the way back.
 */
import { agentCodec, gatewayCodec } from "../../schemas/gen/record.ts";
import { RegistryError } from "../base/errors.ts";
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
  const agent = agentToStored(input, stamp);
  return encoded(() => agentCodec.encode(agent));
}

/** The stored form of a gateway to register. @throws RegistryError `invalid_argument`. */
export function storedGateway(input: GatewayInput, stamp: Stamp): Uint8Array {
  const gateway = gatewayToStored(input, stamp);
  return encoded(() => gatewayCodec.encode(gateway));
}

/** The registry checks what a record says; what no field can hold is refused here. */
function encoded(encode: () => Uint8Array): Uint8Array {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RegistryError("invalid_argument", error.message, {}, error);
  }
}
