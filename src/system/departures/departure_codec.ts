/** The commands about departures of nodes, and their encoding (schemas/system.capnp). */
import { commandCodec } from "../../../schemas/gen/command.ts";
import {
  type EndDepartureCommand,
  endDepartureCommandCodec,
  type HandedOverCommand,
  handedOverCommandCodec,
  type PutDepartureCommand,
  putDepartureCommandCodec,
  type RemoveDepartedCommand,
  removeDepartedCommandCodec,
} from "../../../schemas/gen/system.ts";
import type { Input } from "../../../schemas/runtime.ts";
import type { CommandHeader } from "../../record/command.ts";

/** Kinds of the commands about departures; the last one occurs only in images. */
export const DEPARTURE_KINDS = {
  put: 51,
  end: 52,
  handedOver: 53,
  remove: 54,
  record: 58,
} as const;

/** The apply version of group 0 from which on it knows departures. */
export const DEPARTURES_APPLY_VERSION = 13;

/** Encodes the beginning of a departure, or another goal of one. */
export function encodePutDeparture(
  from: CommandHeader,
  body: Input<PutDepartureCommand>,
): Uint8Array {
  const header = { ...from, kind: DEPARTURE_KINDS.put };
  return commandCodec.encode(header, putDepartureCommandCodec, body);
}

/** Encodes the end of a departure. */
export function encodeEndDeparture(
  from: CommandHeader,
  body: Input<EndDepartureCommand>,
): Uint8Array {
  const header = { ...from, kind: DEPARTURE_KINDS.end };
  return commandCodec.encode(header, endDepartureCommandCodec, body);
}

/** Encodes that a departing node leads nothing any more. */
export function encodeHandedOver(from: CommandHeader, body: Input<HandedOverCommand>): Uint8Array {
  const header = { ...from, kind: DEPARTURE_KINDS.handedOver };
  return commandCodec.encode(header, handedOverCommandCodec, body);
}

/** Encodes the removal of a member that has departed. */
export function encodeRemoveDeparted(
  from: CommandHeader,
  body: Input<RemoveDepartedCommand>,
): Uint8Array {
  const header = { ...from, kind: DEPARTURE_KINDS.remove };
  return commandCodec.encode(header, removeDepartedCommandCodec, body);
}
