/** The commands about peer regions, and their encoding (schemas/system.capnp). */
import { commandCodec } from "../../../schemas/gen/command.ts";
import {
  type AcceptFeedCommand,
  acceptFeedCommandCodec,
  type AssignPullerCommand,
  assignPullerCommandCodec,
  type PutRegionBansCommand,
  putRegionBansCommandCodec,
  type PutRegionCommand,
  putRegionCommandCodec,
  type RegionRecord,
  regionRecordCodec,
  type RemovedRegionsRecord,
  removedRegionsRecordCodec,
  type RemoveRegionCommand,
  removeRegionCommandCodec,
} from "../../../schemas/gen/system.ts";
import type { Input } from "../../../schemas/runtime.ts";
import type { CommandHeader } from "../../record/command.ts";

/** Kinds of the commands about regions; the last two occur only in images. */
export const REGION_KINDS = {
  put: 46,
  remove: 47,
  acceptFeed: 48,
  assignPuller: 49,
  putBans: 50,
  record: 59,
  removed: 60,
} as const;

/** The apply version of group 0 from which on it knows peer regions. */
export const REGIONS_APPLY_VERSION = 5;
/** The one from which on it knows the bans of their nodes. */
export const REGION_BANS_APPLY_VERSION = 6;

/** Encodes the addition of a region, or a change of its settings. */
export function encodePutRegion(from: CommandHeader, body: Input<PutRegionCommand>): Uint8Array {
  return commandCodec.encode({ ...from, kind: REGION_KINDS.put }, putRegionCommandCodec, body);
}

/** Encodes the end of a region as a peer. */
export function encodeRemoveRegion(
  from: CommandHeader,
  body: Input<RemoveRegionCommand>,
): Uint8Array {
  const header = { ...from, kind: REGION_KINDS.remove };
  return commandCodec.encode(header, removeRegionCommandCodec, body);
}

/** Encodes the acceptance of the cluster and generation that a region is. */
export function encodeAcceptFeed(from: CommandHeader, body: Input<AcceptFeedCommand>): Uint8Array {
  const header = { ...from, kind: REGION_KINDS.acceptFeed };
  return commandCodec.encode(header, acceptFeedCommandCodec, body);
}

/** Encodes the assignment of a shard of a region to a node. */
export function encodeAssignPuller(
  from: CommandHeader,
  body: Input<AssignPullerCommand>,
): Uint8Array {
  const header = { ...from, kind: REGION_KINDS.assignPuller };
  return commandCodec.encode(header, assignPullerCommandCodec, body);
}

/** Encodes the bans of a region's nodes. */
export function encodePutRegionBans(
  from: CommandHeader,
  body: Input<PutRegionBansCommand>,
): Uint8Array {
  const header = { ...from, kind: REGION_KINDS.putBans };
  return commandCodec.encode(header, putRegionBansCommandCodec, body);
}

/** Encodes a region for an image. */
export function encodeRegionRecord(from: CommandHeader, body: Input<RegionRecord>): Uint8Array {
  return commandCodec.encode({ ...from, kind: REGION_KINDS.record }, regionRecordCodec, body);
}

/** Encodes for an image which regions were removed, and which number is next. */
export function encodeRemovedRegions(
  from: CommandHeader,
  body: Input<RemovedRegionsRecord>,
): Uint8Array {
  const header = { ...from, kind: REGION_KINDS.removed };
  return commandCodec.encode(header, removedRegionsRecordCodec, body);
}
