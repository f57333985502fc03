/** The commands of the governed plane's group, and their encoding (schemas/governance.capnp). */
import { commandCodec, CommandView } from "../../schemas/gen/command.ts";
import {
  type AddSignaturesCommand,
  addSignaturesCommandCodec,
  type ApplyProposalCommand,
  applyProposalCommandCodec,
  type BeginMirrorCommand,
  beginMirrorCommandCodec,
  type GovernanceAuditRecord,
  governanceAuditRecordCodec,
  type GovernanceCountersRecord,
  governanceCountersRecordCodec,
  type GovernanceHomeRecord,
  governanceHomeRecordCodec,
  type GovernedEntryRecord,
  governedEntryRecordCodec,
  type GovernInitCommand,
  governInitCommandCodec,
  type MirrorEntriesCommand,
  mirrorEntriesCommandCodec,
  type OpenProposalRecord,
  openProposalRecordCodec,
  type ProposeCommand,
  proposeCommandCodec,
  type QuotaRecord,
  quotaRecordCodec,
} from "../../schemas/gen/governance.ts";
import type { Input } from "../../schemas/runtime.ts";
import type { CommandHeader } from "../record/command.ts";

/** Kinds of the commands; those from `entry` on occur only in images. */
export const GOVERNANCE_KINDS = {
  init: 64,
  propose: 65,
  addSignatures: 66,
  applyProposal: 67,
  beginMirror: 68,
  mirrorEntries: 69,
  entry: 72,
  openProposal: 73,
  counters: 74,
  quota: 75,
  auditRecord: 76,
  home: 77,
} as const;

/** Encodes the genesis of the governed plane. */
export function encodeGovernInit(from: CommandHeader, body: Input<GovernInitCommand>): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.init };
  return commandCodec.encode(header, governInitCommandCodec, body);
}

/** Encodes a proposal. */
export function encodePropose(from: CommandHeader, body: Input<ProposeCommand>): Uint8Array {
  return commandCodec.encode(
    { ...from, kind: GOVERNANCE_KINDS.propose },
    proposeCommandCodec,
    body,
  );
}

/** Encodes further signatures of a proposal. */
export function encodeAddSignatures(
  from: CommandHeader,
  body: Input<AddSignaturesCommand>,
): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.addSignatures };
  return commandCodec.encode(header, addSignaturesCommandCodec, body);
}

/** Encodes the request to apply a proposal. */
export function encodeApplyProposal(
  from: CommandHeader,
  body: Input<ApplyProposalCommand>,
): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.applyProposal };
  return commandCodec.encode(header, applyProposalCommandCodec, body);
}

/** Encodes the begin of a mirror. */
export function encodeBeginMirror(
  from: CommandHeader,
  body: Input<BeginMirrorCommand>,
): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.beginMirror };
  return commandCodec.encode(header, beginMirrorCommandCodec, body);
}

/** Encodes entries of the home for its mirror. */
export function encodeMirrorEntries(
  from: CommandHeader,
  body: Input<MirrorEntriesCommand>,
): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.mirrorEntries };
  return commandCodec.encode(header, mirrorEntriesCommandCodec, body);
}

/** Encodes the home of the plane for an image. */
export function encodeHome(from: CommandHeader, body: Input<GovernanceHomeRecord>): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.home };
  return commandCodec.encode(header, governanceHomeRecordCodec, body);
}

/** Encodes an entry of the log for an image. */
export function encodeEntryRecord(
  from: CommandHeader,
  body: Input<GovernedEntryRecord>,
): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.entry };
  return commandCodec.encode(header, governedEntryRecordCodec, body);
}

/** Encodes an open proposal for an image. */
export function encodeOpenProposal(
  from: CommandHeader,
  body: Input<OpenProposalRecord>,
): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.openProposal };
  return commandCodec.encode(header, openProposalRecordCodec, body);
}

/** Encodes the counters of the state for an image. */
export function encodeCounters(
  from: CommandHeader,
  body: Input<GovernanceCountersRecord>,
): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.counters };
  return commandCodec.encode(header, governanceCountersRecordCodec, body);
}

/** Encodes the used part of a quota for an image. */
export function encodeQuota(from: CommandHeader, body: Input<QuotaRecord>): Uint8Array {
  return commandCodec.encode({ ...from, kind: GOVERNANCE_KINDS.quota }, quotaRecordCodec, body);
}

/** Encodes a record of the audit for an image. */
export function encodeAuditRecord(
  from: CommandHeader,
  body: Input<GovernanceAuditRecord>,
): Uint8Array {
  const header = { ...from, kind: GOVERNANCE_KINDS.auditRecord };
  return commandCodec.encode(header, governanceAuditRecordCodec, body);
}

/** Returns a view of a command of the group. @throws RegistryError `malformed`. */
export function governanceCommandOf(data: Uint8Array): CommandView {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return new CommandView().wrap(view, data, 0, data.length);
}

/** Reports whether a kind is one of {@link GOVERNANCE_KINDS}. */
export function isGovernanceKind(kind: number): boolean {
  return (Object.values(GOVERNANCE_KINDS) as number[]).includes(kind);
}
