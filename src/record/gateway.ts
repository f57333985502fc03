/** The gateway: its own fields, and its row in the table of kinds. */
import { type Gateway, gatewayCodec, type GatewayView } from "../../schemas/gen/record.ts";
import { isNoAddress } from "./address.ts";
import { fields } from "./field.ts";
import * as types from "./field_types.ts";
import { KIND_GATEWAY } from "./key.ts";
import type { KindRow, Named, OwnFields } from "./kind_row.ts";
import type { RecordInfo, RecordInput } from "./plain.ts";
import { type Decoded, recordInfo, shortFloat } from "./record_info.ts";
import { SHARED_FIELDS } from "./shared_fields.ts";
import { invalid } from "./validation.ts";

type Capacity = types.Capacity;

/** A gateway to register. */
export interface GatewayInput extends RecordInput {
  readonly wssPort?: number;
  /** Total capacity; an absent dimension is unspecified. */
  readonly capacity?: Partial<Capacity>;
  /** The part of the capacity that is in use. */
  readonly used?: Partial<Capacity>;
}

/** A registered gateway. */
export interface GatewayInfo extends RecordInfo {
  readonly wssPort: number;
  readonly capacity: Readonly<Capacity>;
  readonly used: Readonly<Capacity>;
}

const OWN_FIELDS = {
  wssPort: {
    type: types.optionalPort,
    aliases: [{ name: "wss_port" }],
    flags: [{ flag: "--wss-port <number>", help: "port for WebSocket" }],
    view: { label: "wss port", omitsEmpty: true },
  },
  capacity: {
    type: types.capacity,
    flags: [
      { flag: "--cpu <cores>", help: "capacity: cores", part: "cpu" },
      { flag: "--memory <MiB>", help: "capacity: memory", part: "memoryMiB" },
      { flag: "--storage <MiB>", help: "capacity: storage", part: "storageMiB" },
      { flag: "--bandwidth <Mbit/s>", help: "capacity: bandwidth", part: "bandwidthMbps" },
      { flag: "--connections <count>", help: "capacity: connections", part: "connections" },
    ],
    view: { label: "capacity", column: "CAPACITY" },
  },
  used: { type: types.capacity, view: { label: "used", column: "USED" } },
} satisfies OwnFields<GatewayInput>;

/** The row of the gateway. It must be reachable by address or domain, at a port. */
export const GATEWAY: Named<
  KindRow<Gateway, GatewayView, GatewayInput, GatewayInfo>,
  2,
  "gateway"
> = {
  number: KIND_GATEWAY,
  name: "gateway",
  plural: "gateways",
  codec: gatewayCodec,
  empty: gatewayCodec.empty(),
  sharedFields: SHARED_FIELDS.map((field) =>
    field.name === "port" ? { ...field, type: types.port } : field
  ),
  ownFields: fields(OWN_FIELDS),
  decode: (view) => {
    const info = recordInfo(view) as Decoded<GatewayInfo>;
    info.wssPort = view.wssPort;
    info.capacity = {
      cpu: shortFloat(view.capacityCpu),
      memoryMiB: view.capacityMemoryMiB,
      storageMiB: view.capacityStorageMiB,
      bandwidthMbps: shortFloat(view.capacityBandwidthMbps),
      connections: view.capacityConnections,
    };
    info.used = {
      cpu: shortFloat(view.usedCpu),
      memoryMiB: view.usedMemoryMiB,
      storageMiB: view.usedStorageMiB,
      bandwidthMbps: shortFloat(view.usedBandwidthMbps),
      connections: view.usedConnections,
    };
    return info;
  },
  check: ({ domain, address }) => {
    if (domain !== "" || !isNoAddress(address)) return;
    throw invalid("address", "be given where no domain is", "");
  },
  owner: "gateway",
  hasLease: true,
  claimsDomain: false,
  reportsUse: true,
  namedBy: "agent",
};
