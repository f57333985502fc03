/**
 * The image of the governed plane: group time and applied index, then sections of commands for the
 * genesis, the entries, the open proposals, the counters, the quotas and the audit.
 *
 * Entries were verified when they were applied. Loading them checks that the newest one follows the one
 * before and names the heads of all of them; documents are read and compared with their hashes when
 * somebody asks for them. To verify all signatures would take 12 s for 10,000 entries, and to read all
 * documents 3 s.
 */
import {
  type GovernanceAuditRecord,
  GovernanceAuditRecordView,
  GovernanceCountersRecordView,
  GovernanceHomeRecordView,
  GovernedEntryRecordView,
  GovernInitCommandView,
  OpenProposalRecordView,
  QuotaRecordView,
} from "../../schemas/gen/governance.ts";
import type { CommandView } from "../../schemas/gen/command.ts";
import { RegistryError } from "../base/errors.ts";
import { type CommandHeader, laterProgram } from "../record/command.ts";
import {
  ImageBytes,
  type ImageFormat,
  type ImageSection,
  SectionedImageReader,
  writeSectionedImage,
} from "../record/sectioned_image.ts";
import type { SignatureVerdict } from "../signing/ed25519_verdict.ts";
import { readGenesis } from "./documents/genesis.ts";
import {
  encodeAuditRecord,
  encodeCounters,
  encodeEntryRecord,
  encodeGovernInit,
  encodeHome,
  encodeOpenProposal,
  encodeQuota,
  GOVERNANCE_KINDS,
  governanceCommandOf,
} from "./governance_codec.ts";
import {
  GOVERNANCE_APPLY_VERSION_MAX,
  GovernanceState,
  MIRROR_APPLY_VERSION,
} from "./governance_state.ts";
import { GovernedPlane } from "./governed_plane.ts";
import { proposalRecord } from "./open_proposals.ts";

/** The version of the image. */
export const GOVERNANCE_IMAGE_VERSION = 1;

const FORMAT: ImageFormat = {
  magic: Uint8Array.of(0x43, 0x52, 0x53, 0x47, 0x4f, 0x56, 0xff, 0xff),
  version: GOVERNANCE_IMAGE_VERSION,
  versions: "1",
  numberCount: 2,
  name: "Image of the governed plane",
};

/** The kind of the commands of each section. Numbers are stable. */
const SECTIONS: Readonly<Record<number, number>> = {
  1: GOVERNANCE_KINDS.init,
  2: GOVERNANCE_KINDS.entry,
  3: GOVERNANCE_KINDS.openProposal,
  4: GOVERNANCE_KINDS.counters,
  5: GOVERNANCE_KINDS.quota,
  6: GOVERNANCE_KINDS.auditRecord,
  9: GOVERNANCE_KINDS.home,
};

/** Returns a state as chunks of an image. It must not change in between. */
export function writeGovernanceImage(
  state: GovernanceState,
): Generator<Uint8Array, void, undefined> {
  const from: CommandHeader = { timeMs: state.timeMs, unixS: 0, writer: 0 };
  const { plane, quotas, audit } = state;
  const sections: ImageSection[] = [];
  if (plane !== undefined) {
    const { genesis: { bytes } } = plane;
    sections.push(
      { section: 1, segments: [encodeGovernInit(from, { genesis: bytes, caller: "" })] },
      { section: 2, segments: entrySegments(from, plane) },
      { section: 3, segments: proposalSegments(from, plane) },
    );
  }
  const counters = encodeCounters(from, {
    nextProposal: plane?.proposals.next ?? 1,
    auditCount: audit.count,
    refusedByQuota: quotas.refused,
    quotaWindow: quotas.window,
    applyVersion: state.applyVersion,
  });
  sections.push(
    { section: 4, segments: [counters] },
    { section: 5, segments: quotaSegments(from, state) },
    { section: 6, segments: auditSegments(from, audit.records) },
  );
  if (plane !== undefined && state.applyVersion >= MIRROR_APPLY_VERSION) {
    sections.push({ section: 9, segments: [encodeHome(from, homeRecord(state, plane))] });
  }
  return writeSectionedImage(FORMAT, [state.timeMs, state.appliedIndex], sections);
}

function* entrySegments(from: CommandHeader, { log }: GovernedPlane): Iterable<Uint8Array> {
  for (let version = 1; version <= log.version; version++) {
    yield encodeEntryRecord(from, log.recordOf(version));
  }
}

function homeRecord(
  { mirrorRefused: refused, mirrorRefusal: refusal }: GovernanceState,
  { began, region }: GovernedPlane,
) {
  return { began, region, refused, refusal };
}

function* proposalSegments(
  from: CommandHeader,
  { proposals }: GovernedPlane,
): Iterable<Uint8Array> {
  for (const open of proposals.all) yield encodeOpenProposal(from, proposalRecord(open));
}

function* quotaSegments(from: CommandHeader, { quotas }: GovernanceState): Iterable<Uint8Array> {
  for (const [key, count] of quotas.counts) yield encodeQuota(from, { key, count });
}

function* auditSegments(
  from: CommandHeader,
  records: readonly GovernanceAuditRecord[],
): Iterable<Uint8Array> {
  for (const record of records) yield encodeAuditRecord(from, record);
}

/**
 * Returns the state of a whole image, given as chunks of any sizes.
 *
 * @throws RegistryError `corrupt`, `unsupported_version`.
 */
export function loadGovernanceImage(
  chunks: Iterable<Uint8Array>,
  isSigned?: SignatureVerdict,
): GovernanceState {
  const reader = new SectionedImageReader(FORMAT, new ImageBytes(FORMAT.name, chunks));
  const state = new GovernanceState();
  const [timeMs, appliedIndex] = reader.numbers;
  state.timeMs = timeMs!;
  state.appliedIndex = appliedIndex!;
  try {
    for (const section of reader.sections()) {
      const kind = SECTIONS[section];
      if (kind === undefined) throw laterProgram(`section ${section} of ${FORMAT.name}`);
      for (const segment of reader.segments()) {
        const command = governanceCommandOf(segment);
        if (command.kind !== kind) throw corrupt(`command ${command.kind} is out of its place`);
        loadCommand(state, command, isSigned);
      }
    }
    state.plane?.log.checkLoaded();
  } catch (error) {
    const isRefusal = error instanceof RegistryError && error.code !== "unsupported_version" &&
      error.code !== "corrupt";
    throw isRefusal ? corrupt(error.message) : error;
  }
  return state;
}

function loadCommand(
  state: GovernanceState,
  command: CommandView,
  isSigned: SignatureVerdict | undefined,
): void {
  if (command.kind === GOVERNANCE_KINDS.init) {
    const { genesis } = command.bodyInto(new GovernInitCommandView()).toPlain();
    state.plane = new GovernedPlane(readGenesis(genesis), isSigned);
    return;
  }
  switch (command.kind) {
    case GOVERNANCE_KINDS.entry: {
      const record = command.bodyInto(new GovernedEntryRecordView()).toPlain();
      return void planeOf(state).load(record);
    }
    case GOVERNANCE_KINDS.openProposal: {
      const record = command.bodyInto(new OpenProposalRecordView()).toPlain();
      return planeOf(state).proposals.load(record);
    }
    case GOVERNANCE_KINDS.counters:
      return loadCounters(state, command);
    case GOVERNANCE_KINDS.quota: {
      const { key, count } = command.bodyInto(new QuotaRecordView()).toPlain();
      return state.quotas.loadCount(key, count);
    }
    case GOVERNANCE_KINDS.home: {
      const record = command.bodyInto(new GovernanceHomeRecordView()).toPlain();
      const plane = planeOf(state);
      plane.began = record.began;
      plane.region = record.region;
      state.mirrorRefused = record.refused;
      state.mirrorRefusal = record.refusal;
      return;
    }
    default:
      state.audit.load(command.bodyInto(new GovernanceAuditRecordView()).toPlain());
  }
}

function loadCounters(state: GovernanceState, command: CommandView): void {
  const counters = command.bodyInto(new GovernanceCountersRecordView()).toPlain();
  if (counters.applyVersion > GOVERNANCE_APPLY_VERSION_MAX) {
    throw laterProgram(`apply version ${counters.applyVersion}`);
  }
  state.applyVersion = counters.applyVersion;
  state.plane?.proposals.loadNext(counters.nextProposal);
  state.quotas.load({ window: counters.quotaWindow, refused: counters.refusedByQuota });
  state.audit.loadCount(counters.auditCount);
}

function planeOf({ plane }: GovernanceState): GovernedPlane {
  if (plane !== undefined) return plane;
  throw corrupt("there is no genesis");
}

function corrupt(what: string): RegistryError {
  return new RegistryError("corrupt", `${FORMAT.name} must hold a valid state: ${what}`);
}
