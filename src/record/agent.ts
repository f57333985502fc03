/** The agent: what is particular to this kind of record. */
import { type Agent, agentCodec, type AgentView } from "../../schemas/gen/record.ts";
import { KIND_AGENT } from "./key.ts";
import type { KindRow } from "./kind_row.ts";
import { validateAgent } from "./validation.ts";

/** The row of the agent in the table of kinds. */
export const AGENT = {
  number: KIND_AGENT,
  name: "agent",
  plural: "agents",
  codec: agentCodec,
  validate: validateAgent,
  owner: "agent",
  hasLease: true,
  claimsDomain: true,
  reportsUse: false,
  attachedTo: { role: "gateway", idOf: ({ gatewayId }) => gatewayId },
} as const satisfies KindRow<Agent, AgentView>;
