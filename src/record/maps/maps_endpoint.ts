/**
 * The claim of a credential on an endpoint: while it lasts, no other credential announces a gateway there.
 * It is registered before its gateway, whose key does not tell the endpoint.
 */
import {
  type MapsEndpoint,
  mapsEndpointCodec,
  type MapsEndpointView,
} from "../../../schemas/gen/record.ts";
import { formatAddress, isNoAddress } from "../address.ts";
import { fields } from "../field.ts";
import { KIND_MAPS_ENDPOINT } from "../key.ts";
import { type KindRow, MAPS_APPLY_VERSION, type Named, type OwnFields } from "../kind_row.ts";
import { namedInfo, otherName } from "../named_record.ts";
import type { RecordInfo } from "../plain.ts";
import { invalid } from "../validation.ts";
import { credential, mapsFields, type MapsInput, successionByCredential } from "./maps_record.ts";

/** An endpoint to claim. */
export interface MapsEndpointInput extends MapsInput {
  readonly address: string;
  readonly port: number;
  readonly credential: string;
}

/** A claimed endpoint. */
export interface MapsEndpointInfo extends RecordInfo {
  readonly credential: string;
}

const OWN_FIELDS = {
  credential: { type: credential },
} satisfies OwnFields<MapsEndpointInput>;

/** The row of the claim on an endpoint. */
export const MAPS_ENDPOINT: Named<
  KindRow<MapsEndpoint, MapsEndpointView, MapsEndpointInput, MapsEndpointInfo>,
  11,
  "mapsEndpoint"
> = {
  number: KIND_MAPS_ENDPOINT,
  name: "mapsEndpoint",
  plural: "mapsEndpoints",
  codec: mapsEndpointCodec,
  empty: mapsEndpointCodec.empty(),
  sharedFields: mapsFields("address", "port"),
  ownFields: fields(OWN_FIELDS),
  decode: (view) => ({
    ...namedInfo(view, { address: formatAddress(view.address), port: view.port }),
    credential: view.credential,
  }),
  check: ({ address }) => {
    if (isNoAddress(address)) throw invalid("address", "be given", "");
  },
  ownership: {
    roles: ["gateway", "front", "development"],
    idOf: ({ owner }) => owner,
    hasFreeNames: true,
    succession: (current, incoming) =>
      isSameEndpoint(current, incoming)
        ? successionByCredential(current, incoming)
        : otherName("endpoint"),
  },
  hasLease: true,
  claimsDomain: false,
  reportsUse: false,
  applyVersion: MAPS_APPLY_VERSION,
  hasOwnOperations: true,
  foreignKey: ({ region, address, port }) => [region, formatAddress(address), String(port)],
};

function isSameEndpoint(current: MapsEndpointView, incoming: MapsEndpointView): boolean {
  return current.port === incoming.port && current.region === incoming.region &&
    current.addressEquals(incoming.$bytes, incoming.addressOffset);
}
