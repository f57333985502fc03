/**
 * Encodes records from the SDK's plain objects (src/record/plain.ts) to the stored form sent on the
 * wire. record_decoder.ts is the reverse.
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

/** Returns the stored form of an agent to register. @throws RegistryError `invalid_argument`. */
export function storedAgent(input: AgentInput, stamp: Stamp): Uint8Array {
  const agent = agentToStored(input, stamp);
  return encoded(() => agentCodec.encode(agent));
}

/** Returns the stored form of a gateway to register. @throws RegistryError `invalid_argument`. */
export function storedGateway(input: GatewayInput, stamp: Stamp): Uint8Array {
  const gateway = gatewayToStored(input, stamp);
  return encoded(() => gatewayCodec.encode(gateway));
}

/** Encodes a record. Values that no field can hold fail here; the registry validates the rest. */
function encoded(encode: () => Uint8Array): Uint8Array {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RegistryError("invalid_argument", error.message, {}, error);
  }
}
