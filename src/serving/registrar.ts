/**
 * Registration of one record: claims its domain if it has one, then writes the record, then
 * confirms the claim (domain_claims.ts gives the reason for this order), each a logged command of
 * its own group. The node that leads the record's partition drives them.
 */
import { NO_POSITION, type Position } from "../base/position.ts";
import type { RegisterReply } from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import { REGISTER_TRIES_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Entropy } from "../base/world.ts";
import { encodePut } from "../record/command.ts";
import { RECORD_KINDS, type RecordKind } from "../record/kinds.ts";
import type { AccessControl } from "./access_control.ts";
import type { DomainClaims, HeldClaim } from "./domain_claims.ts";
import { leaseRemainingMs, renewAfterMs } from "./lease_times.ts";
import { requesterOf } from "./node_calls.ts";
import type { PartitionVersions } from "./partition_versions.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import { SCOPES_APPLY_VERSION } from "../store/apply_version.ts";
import { type Applied, type Proposer, refusalOf } from "./proposer.ts";
import { type AcceptedRecord, acceptRecord, encodeRecord } from "./record_intake.ts";
import type { RequestAdmission } from "./request_admission.ts";
import type { PartReceipt, RequestContext } from "./request_context.ts";

/** Registration requested by a caller. */
export interface Registration {
  readonly kind: RecordKind;
  /** Stored form as the caller sent it. */
  readonly stored: Uint8Array;
  /** Incarnation to take over from; zero if none. */
  readonly expected: Position;
}

/** Durable registration. */
export interface DurableRegistration {
  readonly reply: RegisterReply;
  readonly receipt: PartReceipt;
}

/** Dependencies of a {@link Registrar}. */
export interface RegistrarParts {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly claims: DomainClaims;
  readonly access: AccessControl;
  readonly admission: RequestAdmission;
  readonly versions: PartitionVersions;
  readonly entropy: Entropy;
  readonly logger: Logger;
}

/** Registers records. */
export class Registrar {
  readonly #parts: RegistrarParts;

  constructor(parts: RegistrarParts) {
    this.#parts = parts;
  }

  /**
   * Creates a record, renews it with new content, or takes it over.
   *
   * @throws RegistryError with the reason of a refusal, or if the outcome is unknown.
   */
  async register(
    registration: Registration,
    context: RequestContext,
  ): Promise<DurableRegistration> {
    const { access, table, versions } = this.#parts;
    const { kind } = registration;
    const record = acceptRecord(RECORD_KINDS.row(kind), registration.stored, context.peer);
    access.checkRegistration(context.peer, kind, record);
    // Refused before anything is claimed for it elsewhere.
    const partition = table.led(kind, record.id);
    if (record.record.scope !== 0) {
      await versions.ensure(partition, SCOPES_APPLY_VERSION, context.deadlineMs);
    }
    const added = this.#admit(partition, kind, record);
    try {
      return await this.#claimAndPut(partition, registration, record, context);
    } finally {
      this.#parts.admission.newRecordsDone(added);
    }
  }

  async #claimAndPut(
    partition: Partition,
    registration: Registration,
    record: AcceptedRecord,
    context: RequestContext,
  ): Promise<DurableRegistration> {
    const { kind } = registration;
    for (let tries = 1;; tries++) {
      const held = await this.#hold(partition, record, context, tries > 1);
      const applied = await this.#put(partition, registration, record, held, context);
      const { code } = applied.outcome;
      if (code === "ok") {
        if (held?.pending === true) this.#confirm(record, held, context);
        return this.#registered(partition, kind, record, applied);
      }
      if (code !== "claim_revoked" || held === undefined || tries === REGISTER_TRIES_MAX) {
        throw refusalOf(applied.outcome);
      }
      // The claim was revoked between the two commands, or its release was never logged: release
      // the domain from it and make a new claim.
      const claimed = { domain: record.domain, agentId: record.id, claim: held.claim };
      await this.#parts.claims.release(claimed, context.deadlineMs);
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
    if (isNew) admission.admitRegion(record.region);
    const count = Number(isNew) + Number(wantsAlias);
    if (count > 0) admission.admitNewRecords(count);
    return count;
  }

  async #hold(
    partition: Partition,
    record: AcceptedRecord,
    context: RequestContext,
    yields: boolean,
  ): Promise<HeldClaim | undefined> {
    if (!record.row.claimsDomain || record.domain === "") return undefined;
    refuseDelayed(partition, record);
    return await this.#parts.claims.hold(record.domain, record.id, {
      requester: requesterOf(context.peer),
      deadlineMs: context.deadlineMs,
      yields,
    });
  }

  async #put(
    partition: Partition,
    registration: Registration,
    record: AcceptedRecord,
    held: HeldClaim | undefined,
    context: RequestContext,
  ): Promise<Applied> {
    const { proposer } = this.#parts;
    const command = encodePut(proposer.header(partition, context.peer.lineage), {
      kind: registration.kind,
      record: encodeRecord(record, held?.claim ?? NO_POSITION),
      expected: registration.expected,
    });
    return await proposer.propose(partition, command, context.deadlineMs);
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

  #registered(
    partition: Partition,
    kind: RecordKind,
    record: AcceptedRecord,
    applied: Applied,
  ): DurableRegistration {
    const { incarnation, revision, created } = applied.outcome;
    const slot = partition.store.find(kind, record.id, 0, record.id.length);
    const reply: RegisterReply = {
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
    return { reply, receipt: { partition: partition.id, point: applied.point } };
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
