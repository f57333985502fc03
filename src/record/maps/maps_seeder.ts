/**
 * A front that serves the Maps protocol, where clients of that protocol begin. It announces itself, and is
 * gone when it stops doing so.
 */
import {
  type MapsSeeder,
  mapsSeederCodec,
  type MapsSeederView,
} from "../../../schemas/gen/record.ts";
import { fromHex, toHex } from "../../base/bytes.ts";
import { MAPS_SEEDER_NAME_BYTES_MAX } from "../../base/limits.ts";
import { formatAddress, isNoAddress } from "../address.ts";
import { fields, type FieldType } from "../field.ts";
import * as types from "../field_types.ts";
import { KIND_MAPS_SEEDER } from "../key.ts";
import {
  type KindRow,
  MAPS_SEEDERS_APPLY_VERSION,
  type Named,
  type OwnFields,
} from "../kind_row.ts";
import { namedInfo, otherName } from "../named_record.ts";
import type { RecordInfo } from "../plain.ts";
import { invalid } from "../validation.ts";
import { mapsFields, type MapsInput } from "./maps_record.ts";

/** A front to announce. */
export interface MapsSeederInput extends MapsInput {
  /** Host name; absent: none. */
  readonly domain?: string;
  readonly address: string;
  readonly port: number;
  readonly name: string;
  /** SHA-256 of its TLS certificate, hexadecimal; empty: it serves plain text. */
  readonly pin: string;
}

/** A front that serves the Maps protocol. */
export interface MapsSeederInfo extends RecordInfo {
  readonly name: string;
  readonly pin: string;
}

const PIN_BYTES = 32;

const pin: FieldType<string, Uint8Array> = {
  form: "text",
  fromJson: types.textOf,
  toStored: (plain, field) => {
    const bytes = fromHex(types.textOf(plain, field));
    if (bytes === undefined) throw invalid(field, "be hexadecimal", plain);
    return bytes;
  },
  check: (bytes, field) => {
    if (bytes.length === 0 || bytes.length === PIN_BYTES) return bytes;
    throw invalid(field, `be empty, or have ${PIN_BYTES} bytes`, bytes.length);
  },
  show: (plain) => plain,
};

const OWN_FIELDS = {
  name: { type: types.text({ bytesMax: MAPS_SEEDER_NAME_BYTES_MAX }) },
  pin: { type: pin },
} satisfies OwnFields<MapsSeederInput>;

/** The row of the front that serves the Maps protocol. */
export const MAPS_SEEDER: Named<
  KindRow<MapsSeeder, MapsSeederView, MapsSeederInput, MapsSeederInfo>,
  12,
  "mapsSeeder"
> = {
  number: KIND_MAPS_SEEDER,
  name: "mapsSeeder",
  plural: "mapsSeeders",
  codec: mapsSeederCodec,
  empty: mapsSeederCodec.empty(),
  sharedFields: mapsFields("domain", "address", "port"),
  ownFields: fields(OWN_FIELDS),
  decode: (view) => ({
    ...namedInfo(view, { address: formatAddress(view.address), port: view.port }),
    domain: view.domain,
    name: view.name,
    pin: toHex(view.pin),
  }),
  check: ({ address }) => {
    if (isNoAddress(address)) throw invalid("address", "be given", "");
  },
  ownership: {
    roles: ["front", "development"],
    idOf: ({ owner }) => owner,
    hasFreeNames: true,
    // All fronts are one owner; the one that listens at an endpoint now is the one that counts.
    succession: (current, incoming) =>
      current.port === incoming.port &&
        current.addressEquals(incoming.$bytes, incoming.addressOffset)
        ? "updates"
        : otherName("front"),
  },
  hasLease: true,
  claimsDomain: false,
  reportsUse: false,
  applyVersion: MAPS_SEEDERS_APPLY_VERSION,
  hasOwnOperations: true,
  foreignKey: ({ address, port }) => [formatAddress(address), String(port)],
};
