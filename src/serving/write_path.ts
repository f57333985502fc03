/**
 * The write path: request → decoded and validated → access and admission → command →
 * `group.propose` → applied once durable → the reply with its receipt.
 *
 * No write is answered before its group has it on disk. This file holds the writes of a single
 * record, whose owner was checked at admission, and batches of registrations; renewals and domains
 * have their own files.
 */
import type {
  DeregisterReply,
  DeregisterRequest,
  RegisterManyReply,
  RegisterManyRequest,
  RegisterOutcome,
  RegisterReply,
  RegisterRequestView,
  RemoveRecordRequest,
  ReportReply,
  ReportRequest,
} from "../../schemas/gen/wire.ts";
import { errorCodeToWire, RegistryError, toRegistryError } from "../base/errors.ts";
import { REGISTER_ITEMS_MAX } from "../base/limits.ts";
import { NO_POSITION } from "../base/position.ts";
import { formatUuid } from "../base/uuid.ts";
import { type CommandHeader, encodeRemove, encodeReport } from "../record/command.ts";
import { KIND_GATEWAY } from "../record/key.ts";
import {
  anyKind,
  RECORD_KINDS,
  type RecordKind,
  recordKind,
  recordKindName,
} from "../record/kinds.ts";
import { OPERATIONS } from "../wire/operations/mod.ts";
import type { AttachedAgents } from "./attached_agents.ts";
import { requesterOf } from "./node_calls.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import { type Applied, type Proposer, refusalOf } from "./proposer.ts";
import { SentRecordReader } from "./record_intake.ts";
import type { ForeignRecords } from "./regions/foreign_records.ts";
import type { Registrar } from "./registrar.ts";
import type { RemovalNotes } from "./removal_notes.ts";
import type { RequestContext } from "./request_context.ts";
import { spanOf } from "../store/reply.ts";

/** Components of a {@link WritePath}. */
export interface WritePathParts {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly registrar: Registrar;
  readonly agents: AttachedAgents;
  readonly notes: RemovalNotes;
  readonly foreign: ForeignRecords;
}

/** Serves writes. One instance serves all streams of a node. */
export class WritePath {
  readonly #parts: WritePathParts;
  readonly #reader = new SentRecordReader();

  constructor(parts: WritePathParts) {
    this.#parts = parts;
  }

  /** Serves RegisterAgent and RegisterGateway. */
  register(
    kind: RecordKind,
    request: RegisterRequestView,
    context: RequestContext,
  ): Promise<RegisterReply> {
    const { $view: view, $bytes: bytes, recordOffset: start, recordLength } = request;
    const sent = this.#reader.read(
      RECORD_KINDS.row(kind),
      { view, bytes, start, end: start + recordLength },
    );
    const expected = { generation: request.expectedGeneration, index: request.expectedIndex };
    return this.#parts.registrar.register({ kind, sent, expected }, context);
  }

  /**
   * Serves RegisterMany: each item as if it had come alone; all items share the log's next writes.
   */
  async registerMany(
    { items }: RegisterManyRequest,
    context: RequestContext,
  ): Promise<RegisterManyReply> {
    if (items.length > REGISTER_ITEMS_MAX) {
      throw new RegistryError(
        "too_large",
        `items must be at most ${REGISTER_ITEMS_MAX}: found ${items.length}`,
        { field: "items" },
      );
    }
    context.bucket.take(OPERATIONS.registerMany.cost * items.length);
    const outcomes = await Promise.all(
      items.map(async ({ kind, record, expected }): Promise<RegisterOutcome> => {
        try {
          const sent = this.#reader.read(RECORD_KINDS.served(kind), spanOf(record));
          const registration = { kind: recordKind(kind), sent, expected };
          const reply = await this.#parts.registrar.register(registration, context);
          return { ...reply, code: 0, message: "", home: undefined };
        } catch (error) {
          return refusedOutcome(toRegistryError(error));
        }
      }),
    );
    return { items: outcomes };
  }

  /** Serves DeregisterAgent and DeregisterGateway. */
  async deregister(
    kind: RecordKind,
    { id, incarnation, process, sequence, withAgents }: DeregisterRequest,
    context: RequestContext,
  ): Promise<DeregisterReply> {
    const removal = { id, incarnation, process, sequence, kind };
    const { count } = await this.#change(
      kind,
      id,
      context,
      (header) => encodeRemove(header, removal),
    );
    if (kind !== KIND_GATEWAY || !withAgents) return { removed: count };
    const { peer, deadlineMs } = context;
    const agents = { gatewayId: id, requester: requesterOf(peer), deadlineMs };
    return { removed: count + await this.#parts.agents.removeAll(agents) };
  }

  /** Serves Report. */
  async report(request: ReportRequest, context: RequestContext): Promise<ReportReply> {
    const { id } = request;
    const { revision } = await this.#change(
      recordKind(request.kind),
      id,
      context,
      (header) => encodeReport(header, request),
    );
    return { revision };
  }

  /**
   * Serves RemoveRecord: removes another owner's record for an administrator; the intention is
   * audited first.
   */
  async removeRecord(
    request: RemoveRecordRequest,
    context: RequestContext,
  ): Promise<DeregisterReply> {
    const { id } = request;
    const kind = anyKind(request.kind);
    // Refused before it is audited.
    this.#homeOf(kind, id);
    const requester = requesterOf(context.peer);
    const noted = { kind, id, detail: requester.subject, requester };
    await this.#parts.notes.note(noted, context.deadlineMs);
    const partition = this.#homeOf(kind, id);
    const { group, store } = partition;
    // A new leader may not have applied the registration yet.
    const permitted = await group.readBarrier(0, this.#parts.proposer.leftMs(context.deadlineMs));
    if (permitted instanceof RegistryError) throw permitted;
    const slot = store.find(kind, id, 0, id.length);
    if (slot === -1) {
      this.#parts.foreign.checkMissing(partition, kind, id);
      const name = `${recordKindName(kind)} ${formatUuid(id)}`;
      throw new RegistryError("not_found", `The ${name} is not registered`);
    }
    const incarnation = store.incarnationOf(slot);
    const removal = { id, incarnation, process: 0, sequence: 0, kind };
    const { count } = await this.#change(
      kind,
      id,
      context,
      (header) => encodeRemove(header, removal),
    );
    return { removed: count };
  }

  /** Logs the command of one record, and adds its receipt to the reply. */
  async #change(
    kind: RecordKind,
    id: Uint8Array,
    context: RequestContext,
    command: (header: CommandHeader) => Uint8Array,
  ): Promise<Applied["outcome"]> {
    const { proposer } = this.#parts;
    const partition = this.#homeOf(kind, id);
    const header = proposer.header(partition, context.peer.lineage);
    const applied = await proposer.propose(partition, command(header), context.deadlineMs);
    const { code } = applied.outcome;
    if (code === "not_found") this.#parts.foreign.checkMissing(partition, kind, id);
    if (code !== "ok") throw refusalOf(applied.outcome);
    context.receipts.push({ partition: partition.id, point: applied.point });
    return applied.outcome;
  }

  #homeOf(kind: number, id: Uint8Array): Partition {
    return this.#parts.table.led(kind, id);
  }
}

const NO_ID = new Uint8Array(16);

function refusedOutcome(error: RegistryError): RegisterOutcome {
  const { homeRegion } = error.fields;
  return {
    id: NO_ID,
    incarnation: error.fields.incarnation ?? NO_POSITION,
    revision: NO_POSITION,
    remainingMs: 0,
    renewAfterMs: error.fields.retryAfterMs ?? 0,
    code: errorCodeToWire(error.code),
    created: false,
    message: error.message,
    home: homeRegion === undefined ? undefined : { name: homeRegion },
  };
}
