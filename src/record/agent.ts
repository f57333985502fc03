/** The agent: its own fields, and its row in the table of kinds. */
import { type Agent, agentCodec, type AgentView } from "../../schemas/gen/record.ts";
import { fields } from "./field.ts";
import * as types from "./field_types.ts";
import { KIND_AGENT } from "./key.ts";
import type { KindRow, Named, OwnFields } from "./kind_row.ts";
import type { RecordInfo, RecordInput } from "./plain.ts";
import { type Decoded, optionalUuid, recordInfo } from "./record_info.ts";
import { SHARED_FIELDS } from "./shared_fields.ts";

/** An agent to register. */
export interface AgentInput extends RecordInput {
  /** UUID text of the gateway that the agent is attached to. */
  readonly gatewayId?: string;
}

/** A registered agent. */
export interface AgentInfo extends RecordInfo {
  /** "" when it is attached to none. */
  readonly gatewayId: string;
}

const OWN_FIELDS = {
  gatewayId: {
    type: types.uuid,
    aliases: [{ name: "gateway_id" }],
    flags: [{ flag: "--gateway <id>", help: "UUID of the gateway to which it is attached" }],
    view: { label: "gateway", column: "GATEWAY" },
  },
} satisfies OwnFields<AgentInput>;

/** The row of the agent. */
export const AGENT: Named<KindRow<Agent, AgentView, AgentInput, AgentInfo>, 1, "agent"> = {
  number: KIND_AGENT,
  name: "agent",
  plural: "agents",
  codec: agentCodec,
  empty: agentCodec.empty(),
  sharedFields: SHARED_FIELDS,
  ownFields: fields(OWN_FIELDS),
  decode: (view) => {
    const info = recordInfo(view) as Decoded<AgentInfo>;
    info.gatewayId = optionalUuid(view.$bytes, view.gatewayIdOffset);
    return info;
  },
  owner: "agent",
  hasLease: true,
  claimsDomain: true,
  reportsUse: false,
  attachedTo: { role: "gateway", idOf: ({ gatewayId }) => gatewayId },
};
