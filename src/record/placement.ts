/**
 * The placement: the relay through which an agent is reached. It counts only while that incarnation
 * of the relay lives: the agents of an ended one are hidden at once, although their records last until
 * their own leases end, and stay hidden when the relay comes back.
 *
 * Another relay takes an agent over by registering it, in one command; the node that logs it has found
 * that relay alive (src/serving/relays). If it ends meanwhile, the placement is of an ended
 * incarnation, and so hidden.
 */
import { type Placement, placementCodec, type PlacementView } from "../../schemas/gen/record.ts";
import { RELAY_ID_BYTES_MAX } from "../base/limits.ts";
import { comparePositions, type Position } from "../base/position.ts";
import { fields } from "./field.ts";
import * as types from "./field_types.ts";
import { KIND_PLACEMENT } from "./key.ts";
import {
  type KindRow,
  type Named,
  NAMED_OWNERS_APPLY_VERSION,
  type OwnFields,
  type Succession,
} from "./kind_row.ts";
import { NAMED_FIELDS, namedInfo, otherName } from "./named_record.ts";
import type { RecordInfo, RecordInput } from "./plain.ts";

/** A placement to register. */
export interface PlacementRecordInput extends RecordInput {
  readonly agentId: string;
  readonly relayId: string;
}

/** A registered placement. */
export interface PlacementRecordInfo extends RecordInfo {
  readonly agentId: string;
  readonly relayId: string;
  /** The incarnation of the relay under which the agent was placed. */
  readonly relayIncarnation: Position;
}

const OWN_FIELDS = {
  agentId: { type: types.text({ bytesMax: RELAY_ID_BYTES_MAX }) },
  relayId: { type: types.text({ bytesMax: RELAY_ID_BYTES_MAX }) },
} satisfies OwnFields<PlacementRecordInput>;

/** The row of the placement. */
export const PLACEMENT: Named<
  KindRow<Placement, PlacementView, PlacementRecordInput, PlacementRecordInfo>,
  8,
  "placement"
> = {
  number: KIND_PLACEMENT,
  name: "placement",
  plural: "placements",
  codec: placementCodec,
  empty: placementCodec.empty(),
  sharedFields: NAMED_FIELDS,
  ownFields: fields(OWN_FIELDS),
  decode: (view) => {
    const { agentId, relayId } = view;
    const relayIncarnation = relayIncarnationOf(view);
    return { ...namedInfo(view, { address: "", port: 0 }), agentId, relayId, relayIncarnation };
  },
  ownership: {
    roles: ["gateway", "front", "development"],
    idOf: ({ owner }) => owner,
    succession,
  },
  hasLease: true,
  endsAtOnce: true,
  claimsDomain: false,
  reportsUse: false,
  applyVersion: NAMED_OWNERS_APPLY_VERSION,
  hasOwnOperations: true,
  foreignKey: ({ agentId }) => [agentId],
};

/** Returns the incarnation of the relay under which an agent was placed. */
export function relayIncarnationOf(
  { relayIncarnationGeneration: generation, relayIncarnationIndex: index }: PlacementView,
): Position {
  return { generation, index };
}

/**
 * Any live relay takes an agent over. Of one relay, a later incarnation takes the agents of an earlier one
 * over, and never the other way: a delayed registration of the earlier one must not hide the agent.
 */
function succession(current: PlacementView, incoming: PlacementView): Succession {
  if (current.agentId !== incoming.agentId) return otherName("agent");
  if (current.relayId !== incoming.relayId) return "replaces";
  const order = comparePositions(relayIncarnationOf(incoming), relayIncarnationOf(current));
  if (order === 0) return "updates";
  if (order > 0) return "replaces";
  return {
    code: "superseded",
    message: `Relay ${current.relayId} began a new incarnation: this one cannot place agents`,
  };
}
