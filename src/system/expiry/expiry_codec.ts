/** The commands about the expiry of records, and their encoding (schemas/system.capnp). */
import { commandCodec } from "../../../schemas/gen/command.ts";
import {
  type DrawPermitsCommand,
  drawPermitsCommandCodec,
  type ExpiryRecord,
  expiryRecordCodec,
  type SteerExpiryCommand,
  steerExpiryCommandCodec,
} from "../../../schemas/gen/system.ts";
import type { Input } from "../../../schemas/runtime.ts";
import type { CommandHeader } from "../../record/command.ts";

/** Kinds of the commands about expiry; the last one occurs only in images. */
export const EXPIRY_KINDS = { draw: 64, steer: 65, record: 66 } as const;

/** Encodes a draw of permits. */
export function encodeDrawPermits(
  from: CommandHeader,
  body: Input<DrawPermitsCommand>,
): Uint8Array {
  return commandCodec.encode({ ...from, kind: EXPIRY_KINDS.draw }, drawPermitsCommandCodec, body);
}

/** Encodes that an operator holds expiry, ends that, or releases stale records. */
export function encodeSteerExpiry(
  from: CommandHeader,
  body: Input<SteerExpiryCommand>,
): Uint8Array {
  return commandCodec.encode({ ...from, kind: EXPIRY_KINDS.steer }, steerExpiryCommandCodec, body);
}

/** Encodes the whole state, for images. */
export function encodeExpiryRecord(from: CommandHeader, body: Input<ExpiryRecord>): Uint8Array {
  return commandCodec.encode({ ...from, kind: EXPIRY_KINDS.record }, expiryRecordCodec, body);
}
