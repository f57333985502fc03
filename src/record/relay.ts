/**
 * The relay: a process of another system through which agents are reached. Its key is the name that
 * its own system gave to it; who registered it owns the name while the relay lives.
 */
import { type Relay, relayCodec, type RelayView } from "../../schemas/gen/record.ts";
import { RELAY_ADDRESS_BYTES_MAX, RELAY_ID_BYTES_MAX } from "../base/limits.ts";
import { fields } from "./field.ts";
import * as types from "./field_types.ts";
import { KIND_RELAY } from "./key.ts";
import {
  type KindRow,
  type Named,
  NAMED_OWNERS_APPLY_VERSION,
  type OwnFields,
} from "./kind_row.ts";
import { NAMED_FIELDS, namedInfo, otherName, otherOwner } from "./named_record.ts";
import type { RecordInfo, RecordInput } from "./plain.ts";

/** A relay to register. */
export interface RelayRecordInput extends RecordInput {
  readonly relayId: string;
  readonly address: string;
  readonly grpcPort: number;
}

/** A registered relay. Its address and port are not interpreted. */
export interface RelayRecordInfo extends RecordInfo {
  readonly relayId: string;
  readonly grpcPort: number;
}

const OWN_FIELDS = {
  relayId: { type: types.text({ bytesMax: RELAY_ID_BYTES_MAX }) },
  grpcPort: { type: types.integer({ min: 0, max: 0xffff_ffff }) },
} satisfies OwnFields<RelayRecordInput>;

/** The row of the relay. */
export const RELAY: Named<
  KindRow<Relay, RelayView, RelayRecordInput, RelayRecordInfo>,
  7,
  "relay"
> = {
  number: KIND_RELAY,
  name: "relay",
  plural: "relays",
  codec: relayCodec,
  empty: relayCodec.empty(),
  sharedFields: NAMED_FIELDS,
  ownFields: fields({
    ...OWN_FIELDS,
    address: { type: types.text({ bytesMax: RELAY_ADDRESS_BYTES_MAX }) },
  }),
  decode: (view) => {
    const { relayId, address } = view;
    // The protocol of relays has signed ports, and does not check them.
    const grpcPort = view.grpcPort | 0;
    return { ...namedInfo(view, { address, port: grpcPort }), relayId, grpcPort };
  },
  ownership: {
    roles: ["gateway", "front", "development"],
    idOf: ({ owner }) => owner,
    succession: (current, incoming) => {
      if (current.relayId !== incoming.relayId) return otherName("relay");
      return otherOwner(current, incoming, `relay ${current.relayId}`) ?? "updates";
    },
  },
  hasLease: true,
  endsAtOnce: true,
  claimsDomain: false,
  reportsUse: false,
  applyVersion: NAMED_OWNERS_APPLY_VERSION,
  hasOwnOperations: true,
  foreignKey: ({ relayId }) => [relayId],
};
