/**
 * The agent of the Maps protocol: who holds a domain, and by which gateway it is reached. Its key is the
 * domain, so a domain has one holder, whatever the region.
 */
import { type MapsAgent, mapsAgentCodec, type MapsAgentView } from "../../../schemas/gen/record.ts";
import { toHex } from "../../base/bytes.ts";
import { canonicalDomain } from "../domain.ts";
import { fields } from "../field.ts";
import { KIND_MAPS_AGENT } from "../key.ts";
import { type KindRow, MAPS_APPLY_VERSION, type Named, type OwnFields } from "../kind_row.ts";
import { namedInfo, otherName } from "../named_record.ts";
import type { RecordInfo } from "../plain.ts";
import { invalid } from "../validation.ts";
import {
  credential,
  mapsFields,
  mapsId,
  type MapsInput,
  successionByCredential,
} from "./maps_record.ts";

/** An agent of the Maps protocol to register. */
export interface MapsAgentInput extends MapsInput {
  readonly domain: string;
  /** 64 hexadecimal digits, as that of its gateway. */
  readonly agentId: string;
  readonly gatewayId: string;
  readonly credential: string;
}

/** A registered agent of the Maps protocol. */
export interface MapsAgentInfo extends RecordInfo {
  readonly agentId: string;
  readonly gatewayId: string;
  readonly credential: string;
}

const OWN_FIELDS = {
  agentId: { type: mapsId },
  gatewayId: { type: mapsId },
  credential: { type: credential },
} satisfies OwnFields<MapsAgentInput>;

/** The row of the agent of the Maps protocol. */
export const MAPS_AGENT: Named<
  KindRow<MapsAgent, MapsAgentView, MapsAgentInput, MapsAgentInfo>,
  10,
  "mapsAgent"
> = {
  number: KIND_MAPS_AGENT,
  name: "mapsAgent",
  plural: "mapsAgents",
  codec: mapsAgentCodec,
  empty: mapsAgentCodec.empty(),
  sharedFields: mapsFields("domain"),
  ownFields: fields(OWN_FIELDS),
  decode: (view) => ({
    ...namedInfo(view, { address: "", port: 0 }),
    domain: view.domain,
    agentId: toHex(view.agentId),
    gatewayId: toHex(view.gatewayId),
    credential: view.credential,
  }),
  check: ({ domain }) => {
    if (domain === "") throw invalid("domain", "be given", "");
  },
  ownership: {
    roles: ["agent", "front", "development"],
    idOf: ({ owner }) => owner,
    hasFreeNames: true,
    succession: (current, incoming) =>
      current.domain === incoming.domain
        ? successionByCredential(current, incoming)
        : otherName("agent"),
  },
  hasLease: true,
  claimsDomain: false,
  reportsUse: false,
  applyVersion: MAPS_APPLY_VERSION,
  hasOwnOperations: true,
  foreignKey: ({ domain }) => [canonicalDomain(domain)],
};
