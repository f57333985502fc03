/**
 * Registration of one record: claims its domain if it has one, then writes the record, then
 * confirms the claim (domain_claims.ts gives the reason for this order), each a logged command of
 * its own group. The node that leads the record's partition drives them.
 */
import { NO_POSITION, type Position } from "../base/position.ts";
import type { RegisterReply } from "../../schemas/gen/wire.ts";
import { FrameWriter } from "../../schemas/runtime/writer.ts";
import { RegistryError } from "../base/errors.ts";
import {
  FREE_REGIONS_MAX,
  REGIONS_INTERNED_MAX,
  REGISTER_TRIES_MAX,
  SEGMENT_BYTES_MAX,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Entropy } from "../base/world.ts";
import { encodePut } from "../record/command.ts";
import type { OwnedRecord } from "../record/kind_row.ts";
import { RECORD_KINDS, type RecordKind } from "../record/kinds.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { AccessControl } from "./access_control.ts";
import type { DomainClaims, HeldClaim } from "./domain_claims.ts";
import { leaseRemainingMs, renewAfterMs } from "./lease_times.ts";
import { requesterOf } from "./node_calls.ts";
import type { PartitionVersions } from "./partition_versions.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import { SCOPES_APPLY_VERSION } from "../store/apply_version.ts";
import { type Applied, type Proposer, refusalOf } from "./proposer.ts";
import { type AcceptedRecord, acceptRecord, appendRecord } from "./record_intake.ts";
import type { ForeignRecords } from "./regions/foreign_records.ts";
import type { RequestAdmission } from "./request_admission.ts";
import type { RequestContext } from "./request_context.ts";

/** Registration requested by a caller. */
export interface Registration {
  readonly kind: RecordKind;
  /** The record as the caller sent it. */
  readonly sent: OwnedRecord;
  /** Incarnation to take over from; zero if none. */
  readonly expected: Position;
}

/** A registration that was admitted. */
interface AdmittedRegistration extends Omit<Registration, "sent"> {
  readonly record: AcceptedRecord;
  readonly partition: Partition;
}

/** Dependencies of a {@link Registrar}. */
export interface RegistrarParts {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly claims: DomainClaims;
  readonly access: AccessControl;
  readonly admission: RequestAdmission;
  readonly versions: PartitionVersions;
  readonly foreign: ForeignRecords;
  readonly entropy: Entropy;
  readonly logger: Logger;
}

/** Registers records. */
export class Registrar {
  readonly #parts: RegistrarParts;
  /** The stored form of the record being logged. */
  readonly #stored = new FrameWriter({ bytesMax: SEGMENT_BYTES_MAX });

  constructor(parts: RegistrarParts) {
    this.#parts = parts;
  }

  /**
   * Creates a record, renews it with new content, or takes it over. Adds the receipt to the context.
   *
   * @throws RegistryError with the reason of a refusal, or if the outcome is unknown.
   */
  async register(
    { kind, sent, expected }: Registration,
    context: RequestContext,
  ): Promise<RegisterReply> {
    const { access, admission, table, versions, foreign } = this.#parts;
    const record = acceptRecord(RECORD_KINDS.row(kind), sent, context.peer);
    access.checkRegistration(context.peer, kind, record);
    // Refused before anything is claimed for it elsewhere.
    const partition = table.led(kind, record.id);
    foreign.checkRegistration(partition, kind, record, context.peer);
    const version = Math.max(
      record.record.scope === 0 ? 0 : SCOPES_APPLY_VERSION,
      record.row.applyVersion ?? 0,
    );
    if (version > 0) await versions.ensure(partition, version, context.deadlineMs);
    const added = this.#admit(partition, kind, record);
    const admitted = { kind, expected, record, partition };
    try {
      const { outcome, point } = record.row.claimsDomain && record.domain !== ""
        ? await this.#claimAndPut(admitted, context)
        : await this.#put(admitted, NO_POSITION, context);
      if (outcome.code !== "ok") throw refusalOf(outcome);
      context.receipts.push({ partition: partition.id, point });
      return this.#replyOf(admitted, outcome);
    } finally {
      admission.newRecordsDone(added);
    }
  }

  /** Claims the domain of the record and writes it; returns the last outcome. */
  async #claimAndPut(
    registration: AdmittedRegistration,
    context: RequestContext,
  ): Promise<Applied> {
    const { claims } = this.#parts;
    const { record, partition } = registration;
    const { domain, id: agentId } = record;
    for (let tries = 1;; tries++) {
      refuseDelayed(partition, record);
      const held = await claims.hold(domain, agentId, {
        requester: requesterOf(context.peer),
        deadlineMs: context.deadlineMs,
        yields: tries > 1,
      });
      const applied = await this.#put(registration, held.claim, context);
      const { code } = applied.outcome;
      if (code === "ok" && held.pending) this.#confirm(record, held, context);
      if (code !== "claim_revoked" || tries === REGISTER_TRIES_MAX) return applied;
      // The claim was revoked between the two commands, or its release was never logged: release
      // the domain from it and make a new claim.
      await claims.release({ domain, agentId, claim: held.claim }, context.deadlineMs);
    }
  }

  /**
   * Admits the new entries of a registration: the record, and the alias of its domain. Entries that
   * exist need no capacity. Returns the number of new ones.
   */
  #admit(partition: Partition, kind: RecordKind, record: AcceptedRecord): number {
    const { admission, claims } = this.#parts;
    const isNew = partition.store.find(kind, record.id, 0, record.id.length) === -1;
    const wantsAlias = record.row.claimsDomain && record.domain !== "" &&
      claims.addsAlias(record.domain, record.id);
    if (isNew) {
      const hasFreeNames = record.row.ownership?.hasFreeNames === true;
      admission.admitRegion(record.region, hasFreeNames ? FREE_REGIONS_MAX : REGIONS_INTERNED_MAX);
    }
    const count = Number(isNew) + Number(wantsAlias);
    if (count > 0) admission.admitNewRecords(count);
    return count;
  }

  #put(
    { partition, kind, record, expected }: AdmittedRegistration,
    claim: Position,
    context: RequestContext,
  ): Promise<Applied> {
    const { proposer } = this.#parts;
    const stored = this.#stored;
    try {
      appendRecord(stored, record, claim);
      const command = encodePut(proposer.header(partition, context.peer.lineage), {
        kind,
        record: { bytes: stored.bytes, start: 0, end: stored.length },
        expected,
      });
      return proposer.propose(partition, command, context.deadlineMs);
    } finally {
      stored.reset();
    }
  }

  /**
   * Confirms in the background: a pending alias whose agent holds its claim resolves as any other.
   */
  #confirm(record: AcceptedRecord, held: HeldClaim, context: RequestContext): void {
    const { claims, logger } = this.#parts;
    const claimed = { domain: record.domain, agentId: record.id, claim: held.claim };
    claims.confirm(claimed, context.deadlineMs).catch((error) => {
      // The janitor confirms it in its next round.
      const code = error instanceof RegistryError ? error.code : "internal";
      logger.debug("An alias was not confirmed yet", { domain: record.domain, code });
    });
  }

  #replyOf(
    { partition, kind, record }: AdmittedRegistration,
    { incarnation, revision, created }: ApplyReply,
  ): RegisterReply {
    const slot = partition.store.find(kind, record.id, 0, record.id.length);
    return {
      id: record.id,
      incarnation,
      revision,
      remainingMs: slot === -1 ? 0 : leaseRemainingMs(partition, slot),
      renewAfterMs: renewAfterMs(
        record.row.hasLease ? record.ttlMs : Infinity,
        this.#parts.entropy,
      ),
      created,
    };
  }
}

/**
 * Refuses a delayed duplicate before its claim, as it must not claim a domain that its agent has
 * since left. The put would refuse it too; this check covers what is known without asking the
 * group.
 */
function refuseDelayed(partition: Partition, record: AcceptedRecord): void {
  if (partition.group.readPoint(0) === undefined) return;
  const slot = partition.store.find(record.row.number, record.id, 0, record.id.length);
  if (slot === -1) return;
  const { process, sequence } = record.record;
  const current = partition.store.recordView(slot);
  if (process !== current.process || sequence >= current.sequence) return;
  throw new RegistryError(
    "stale_sequence",
    `Sequence must be above ${current.sequence}, the last of this process: found ${sequence}`,
    { incarnation: partition.store.incarnationOf(slot) },
  );
}
