/** The plain values of records, as the SDK takes and returns them. */
export type { AgentInfo, AgentInput } from "../record/agent.ts";
export type { GatewayInfo, GatewayInput } from "../record/gateway.ts";
export type { MapsAgentInfo, MapsAgentInput } from "../record/maps/maps_agent.ts";
export type {
  MapsCapacity,
  MapsGatewayInfo,
  MapsGatewayInput,
} from "../record/maps/maps_gateway.ts";
export type { MapsSeederInfo, MapsSeederInput } from "../record/maps/maps_seeder.ts";
export type { Capacity } from "../record/field_types.ts";
export type { Position as Incarnation } from "../base/position.ts";
