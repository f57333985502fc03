/**
 * The gateway of the Maps protocol. Its key is the id that the protocol gives to it, the hash of its
 * credential and its address.
 */
import {
  type MapsGateway,
  mapsGatewayCodec,
  type MapsGatewayView,
} from "../../../schemas/gen/record.ts";
import { bytesEqual, toHex } from "../../base/bytes.ts";
import { MAPS_CAPACITY_MAX } from "../../base/limits.ts";
import { formatAddress, isNoAddress } from "../address.ts";
import { fields } from "../field.ts";
import * as types from "../field_types.ts";
import { KIND_MAPS_GATEWAY } from "../key.ts";
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

/** Free capacity in units of its owner's choice; 0 is none, or not told. */
export interface MapsCapacity {
  readonly cpu: number;
  readonly memory: number;
  readonly storage: number;
  readonly bandwidth: number;
}

/** A gateway of the Maps protocol to register. */
export interface MapsGatewayInput extends MapsInput, MapsCapacity {
  /** 64 hexadecimal digits. */
  readonly gatewayId: string;
  readonly address: string;
  readonly port: number;
  readonly credential: string;
  /** 0: none. */
  readonly wssPort: number;
}

/** A registered gateway of the Maps protocol. */
export interface MapsGatewayInfo extends RecordInfo, MapsCapacity {
  readonly gatewayId: string;
  readonly credential: string;
  readonly wssPort: number;
}

const amount = types.integer({ min: 0, max: MAPS_CAPACITY_MAX });

const OWN_FIELDS = {
  wssPort: { type: types.optionalPort },
  cpu: { type: amount },
  memory: { type: amount },
  storage: { type: amount },
  bandwidth: { type: amount },
  gatewayId: { type: mapsId },
  credential: { type: credential },
} satisfies OwnFields<MapsGatewayInput>;

/** The row of the gateway of the Maps protocol. */
export const MAPS_GATEWAY: Named<
  KindRow<MapsGateway, MapsGatewayView, MapsGatewayInput, MapsGatewayInfo>,
  9,
  "mapsGateway"
> = {
  number: KIND_MAPS_GATEWAY,
  name: "mapsGateway",
  plural: "mapsGateways",
  codec: mapsGatewayCodec,
  empty: mapsGatewayCodec.empty(),
  sharedFields: mapsFields("address", "port"),
  ownFields: fields(OWN_FIELDS),
  decode: (view) => {
    const { cpu, memory, storage, bandwidth, wssPort, port, credential } = view;
    return {
      ...namedInfo(view, { address: formatAddress(view.address), port }),
      ...{ cpu, memory, storage, bandwidth, wssPort, credential },
      gatewayId: toHex(view.gatewayId),
    };
  },
  check: ({ address }) => {
    if (isNoAddress(address)) throw invalid("address", "be given", "");
  },
  ownership: {
    roles: ["gateway", "front", "development"],
    idOf: ({ owner }) => owner,
    hasFreeNames: true,
    succession: (current, incoming) =>
      bytesEqual(current.gatewayId, incoming.gatewayId)
        ? successionByCredential(current, incoming)
        : otherName("gateway"),
  },
  hasLease: true,
  claimsDomain: false,
  reportsUse: false,
  applyVersion: MAPS_APPLY_VERSION,
  hasOwnOperations: true,
  foreignKey: ({ gatewayId }) => [toHex(gatewayId)],
};

/**
 * Returns the rank of a gateway by its free capacity: higher is more. The units of a dimension do not
 * matter, as a factor on one of them adds about the same to all ranks; and little of one dimension counts
 * against a gateway even if it has much of another.
 */
export function capacityRank({ cpu, memory, storage, bandwidth }: MapsCapacity): number {
  return Math.log1p(cpu) + Math.log1p(memory) + Math.log1p(storage) + Math.log1p(bandwidth);
}
