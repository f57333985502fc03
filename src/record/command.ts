/**
 * The commands that groups log, and their encoding (schemas/command.capnp).
 *
 * A command contains everything that apply needs: its header holds the proposer's group time, the
 * wall time and the writer. Kinds are stable, because they are stored in logs.
 */
import {
  claimCommandCodec,
  commandCodec,
  confirmCommandCodec,
  expireCommandCodec,
  type ExpireItem,
  extendCommandCodec,
  type ExtendItem,
  genesisCommandCodec,
  mirrorBatchCommandCodec,
  mirrorDropCommandCodec,
  mirrorFenceCommandCodec,
  putCommandCodec,
  putMemberCommandCodec,
  releaseCommandCodec,
  removeCommandCodec,
  type RemoveMemberCommand,
  removeMemberCommandCodec,
  reportCommandCodec,
  revokeCommandCodec,
} from "../../schemas/gen/command.ts";
import type {
  ClaimCommand,
  ConfirmCommand,
  GenesisCommand,
  MirrorBatchCommand,
  MirrorDropCommand,
  MirrorFenceCommand,
  PutCommand,
  PutMemberCommand,
  ReleaseCommand,
  RemoveCommand,
  ReportCommand,
  RevokeCommand,
} from "../../schemas/gen/command.ts";
import { raiseApplyVersionCommandCodec } from "../../schemas/gen/system.ts";
import type { Input } from "../../schemas/runtime.ts";
import { RegistryError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";

/** The last kind that partitions may ever use; those above are the system group's. */
export const PARTITION_COMMAND_KIND_MAX = 31;

/** Numbers of the command kinds. Partitions use 1 to 15, the system group 32 and above. */
export const COMMAND_KINDS = {
  put: 1,
  extend: 2,
  remove: 3,
  expire: 4,
  report: 5,
  claim: 6,
  confirm: 7,
  revoke: 8,
  release: 9,
  /** Logs the time; has no body. */
  tick: 10,
  /** Raises the apply version of a partition. */
  raiseApplyVersion: 11,
  mirrorFence: 12,
  mirrorBatch: 13,
  mirrorDrop: 14,
  /** Marks records as stale. */
  stale: 15,
  genesis: 32,
  putMember: 33,
  enrolment: 34,
  ban: 35,
  document: 36,
  auditNote: 37,
  removeMember: 38,
  grant: 39,
  /** Occurs only in images. */
  auditPage: 63,
} as const;

/** The header of every command. */
export interface CommandHeader {
  /** The proposer's group time, ms. */
  readonly timeMs: number;
  /** Wall time, s since 1970. */
  readonly unixS: number;
  /** Lineage of the requesting identity; 0 for the registry itself. */
  readonly writer: number;
}

function header(from: CommandHeader, kind: number) {
  return { timeMs: from.timeMs, unixS: from.unixS, writer: from.writer, kind };
}

/**
 * Encodes a register: create, renew with new content, or take over. Like all encoders here, it
 * returns bytes that the caller owns.
 */
export function encodePut(from: CommandHeader, body: Input<PutCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.put), putCommandCodec, body);
}

/** Encodes an extension of covers. */
export function encodeExtend(
  from: CommandHeader,
  items: readonly Input<ExtendItem>[],
): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.extend), extendCommandCodec, { items });
}

/** Encodes a deregister. */
export function encodeRemove(from: CommandHeader, body: Input<RemoveCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.remove), removeCommandCodec, body);
}

/** Encodes the removal of expired records. */
export function encodeExpire(
  from: CommandHeader,
  items: readonly Input<ExpireItem>[],
): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.expire), expireCommandCodec, { items });
}

/** Encodes that records are stale instead of expired. */
export function encodeStale(
  from: CommandHeader,
  items: readonly Input<ExpireItem>[],
): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.stale), expireCommandCodec, { items });
}

/** Encodes a report of a gateway's use, or of a state. */
export function encodeReport(from: CommandHeader, body: Input<ReportCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.report), reportCommandCodec, body);
}

/** Encodes the creation of a pending alias, in the domain's group. */
export function encodeClaim(from: CommandHeader, body: Input<ClaimCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.claim), claimCommandCodec, body);
}

/** Encodes the confirmation that makes an alias final, in the domain's group. */
export function encodeConfirm(from: CommandHeader, body: Input<ConfirmCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.confirm), confirmCommandCodec, body);
}

/** Encodes the refusal of a claim from now on, in the agent's group, unless the agent holds it. */
export function encodeRevoke(from: CommandHeader, body: Input<RevokeCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.revoke), revokeCommandCodec, body);
}

/** Encodes the release of a domain, in its group. */
export function encodeRelease(from: CommandHeader, body: Input<ReleaseCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.release), releaseCommandCodec, body);
}

/** Encodes the fence of a puller, in each partition that it is going to write. */
export function encodeMirrorFence(
  from: CommandHeader,
  body: Input<MirrorFenceCommand>,
): Uint8Array {
  const kind = COMMAND_KINDS.mirrorFence;
  return commandCodec.encode(header(from, kind), mirrorFenceCommandCodec, body);
}

/** Encodes changes of another region's records, in the group of their partition here. */
export function encodeMirrorBatch(
  from: CommandHeader,
  body: Input<MirrorBatchCommand>,
): Uint8Array {
  const kind = COMMAND_KINDS.mirrorBatch;
  return commandCodec.encode(header(from, kind), mirrorBatchCommandCodec, body);
}

/** Encodes the removal of some mirrors of a region that is no peer any more. */
export function encodeMirrorDrop(from: CommandHeader, body: Input<MirrorDropCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.mirrorDrop), mirrorDropCommandCodec, body);
}

/** Encodes a tick, which only logs the time. */
export function encodeTick(from: CommandHeader): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.tick));
}

/** Encodes a raise of a partition's apply version. */
export function encodeRaisePartitionVersion(from: CommandHeader, version: number): Uint8Array {
  const kind = COMMAND_KINDS.raiseApplyVersion;
  return commandCodec.encode(header(from, kind), raiseApplyVersionCommandCodec, { version });
}

/**
 * Returns the error that stops a replica at something that only a later program knows: replicas that
 * apply it and replicas that skip it would diverge.
 *
 * @param found the command or version, as part of a sentence.
 */
export function laterProgram(found: string): RegistryError {
  return new RegistryError(
    "unsupported_version",
    `Program ${VERSION} does not know ${found}, which a later program wrote: start that one, or a newer ` +
      "one. A node cannot go back once the cluster has switched on what its former program does not know",
  );
}

/** Encodes the first command of the system group. */
export function encodeGenesis(from: CommandHeader, body: Input<GenesisCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.genesis), genesisCommandCodec, body);
}

/**
 * Encodes the addition or update of a cluster member, in the system group. A node that is not admitted,
 * because it is alone, says here which apply version its program knows.
 */
export function encodePutMember(
  from: CommandHeader,
  body: Omit<Input<PutMemberCommand>, "applyVersionMax"> & { readonly applyVersionMax?: number },
): Uint8Array {
  const command = { applyVersionMax: 0, ...body };
  return commandCodec.encode(header(from, COMMAND_KINDS.putMember), putMemberCommandCodec, command);
}

/** Encodes the end of a node's membership. */
export function encodeRemoveMember(
  from: CommandHeader,
  body: Input<RemoveMemberCommand>,
): Uint8Array {
  return commandCodec.encode(
    header(from, COMMAND_KINDS.removeMember),
    removeMemberCommandCodec,
    body,
  );
}
