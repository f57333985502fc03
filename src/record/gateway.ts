/** The gateway: what is particular to this kind of record. */
import { type Gateway, gatewayCodec, type GatewayView } from "../../schemas/gen/record.ts";
import { KIND_GATEWAY } from "./key.ts";
import type { KindRow } from "./kind_row.ts";
import { validateGateway } from "./validation.ts";

/** The row of the gateway in the table of kinds. */
export const GATEWAY = {
  number: KIND_GATEWAY,
  name: "gateway",
  plural: "gateways",
  codec: gatewayCodec,
  validate: validateGateway,
  owner: "gateway",
  hasLease: true,
  claimsDomain: false,
  reportsUse: true,
  namedBy: "agent",
} as const satisfies KindRow<Gateway, GatewayView>;
