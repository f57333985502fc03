/**
 * The write path: request → decoded and validated → access and admission → command →
 * `group.propose` → applied once durable → the reply with its receipt.
 *
 * No write is answered before its group has it on disk. This file holds the entry point and the
 * writes of a single record; batches, renewals and domains have their own files.
 */
import {
  deregisterRequestCodec,
  registerManyRequestCodec,
  type RegisterOutcome,
  registerRequestCodec,
  removeRecordRequestCodec,
  reportRequestCodec,
  type RequestView,
} from "../../schemas/gen/wire.ts";
import { errorCodeToWire, RegistryError, toRegistryError } from "../base/errors.ts";
import { REGISTER_ITEMS_MAX } from "../base/limits.ts";
import { formatUuid } from "../base/uuid.ts";
import { encodeRemove, encodeReport } from "../record/command.ts";
import { isRecordKind, KIND_AGENT, KIND_GATEWAY, type RecordKind } from "../record/key.ts";
import { type Operation, OPERATIONS } from "../wire/operations.ts";
import type { AccessControl } from "./access_control.ts";
import type { IdentityService } from "./identity_service.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import { type Proposer, refusalOf } from "./proposer.ts";
import { notReplica } from "./read_path.ts";
import type { PartReceipt, WriteContext, WriteReply } from "./write_context.ts";
import type { Registrar } from "./registrar.ts";
import type { RenewPath } from "./renew_path.ts";

/** Components of a {@link WritePath}. */
export interface WritePathParts {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly access: AccessControl;
  readonly registrar: Registrar;
  readonly renewals: RenewPath;
  readonly identities: IdentityService;
}

/** Serves writes. One instance serves all streams of a node. */
export class WritePath {
  readonly #parts: WritePathParts;

  constructor(parts: WritePathParts) {
    this.#parts = parts;
  }

  /**
   * Serves one write. Reads all it needs from the bytes of the request before the first await.
   *
   * @throws RegistryError with the reason of a refusal.
   */
  async serve(
    operation: Operation,
    request: RequestView,
    context: WriteContext,
  ): Promise<WriteReply> {
    switch (operation.id) {
      case OPERATIONS.registerAgent.id:
        return await this.#register(KIND_AGENT, request, context);
      case OPERATIONS.registerGateway.id:
        return await this.#register(KIND_GATEWAY, request, context);
      case OPERATIONS.registerMany.id:
        return await this.#registerMany(request, context);
      case OPERATIONS.renew.id:
        return await this.#parts.renewals.serve(request, context);
      case OPERATIONS.deregisterAgent.id:
        return await this.#deregister(KIND_AGENT, request, context);
      case OPERATIONS.deregisterGateway.id:
        return await this.#deregister(KIND_GATEWAY, request, context);
      case OPERATIONS.report.id:
        return await this.#report(request, context);
      case OPERATIONS.removeRecord.id:
        return await this.#forceRemoval(request, context);
      default:
        throw new RegistryError("unknown_operation", `No path serves ${operation.name}`);
    }
  }

  async #register(
    kind: RecordKind,
    request: RequestView,
    context: WriteContext,
  ): Promise<WriteReply> {
    const { record, expected } = request.bodyInto(registerRequestCodec.newView()).toPlain();
    const { reply, receipt } = await this.#parts.registrar.register(
      { kind, stored: record, expected },
      context,
    );
    return { body: reply, receipts: [receipt] };
  }

  /** Registers each item as if it had come alone; all items share the log's next writes. */
  async #registerMany(request: RequestView, context: WriteContext): Promise<WriteReply> {
    const { items } = request.bodyInto(registerManyRequestCodec.newView()).toPlain();
    if (items.length > REGISTER_ITEMS_MAX) {
      throw new RegistryError(
        "too_large",
        `items must be at most ${REGISTER_ITEMS_MAX}: found ${items.length}`,
        { field: "items" },
      );
    }
    context.bucket.take(OPERATIONS.registerMany.cost * items.length);
    const receipts: PartReceipt[] = [];
    const outcomes = await Promise.all(
      items.map(async ({ kind, record, expected }): Promise<RegisterOutcome> => {
        try {
          if (!isRecordKind(kind)) throw unknownKind(kind);
          const { reply, receipt } = await this.#parts.registrar.register(
            { kind, stored: record, expected },
            context,
          );
          receipts.push(receipt);
          return { ...reply, code: 0, message: "" };
        } catch (error) {
          return refusedOutcome(toRegistryError(error));
        }
      }),
    );
    return { body: { items: outcomes }, receipts };
  }

  async #deregister(
    kind: RecordKind,
    request: RequestView,
    context: WriteContext,
  ): Promise<WriteReply> {
    const { id, incarnation, process, sequence, withAgents } = request
      .bodyInto(deregisterRequestCodec.newView()).toPlain();
    const partition = this.#homeOf(kind, id);
    this.#parts.access.checkOwner(context.peer, kind, id);
    const command = encodeRemove(this.#header(partition, context), {
      id,
      incarnation,
      process,
      sequence,
      kind,
    });
    const applied = await this.#parts.proposer.propose(partition, command, context.deadlineMs);
    if (applied.outcome.code !== "ok") throw refusalOf(applied.outcome);
    let removed = applied.outcome.count;
    if (kind === KIND_GATEWAY && withAgents) {
      removed += await this.#parts.registrar.removeAgentsOf(id, context);
    }
    return {
      body: { removed },
      receipts: [{ partition: partition.id, point: applied.point }],
    };
  }

  /** Removes another owner's record for an administrator; the intention is audited first. */
  async #forceRemoval(request: RequestView, context: WriteContext): Promise<WriteReply> {
    const { kind, id } = request.bodyInto(removeRecordRequestCodec.newView()).toPlain();
    if (!isRecordKind(kind)) throw unknownKind(kind);
    const partition = this.#homeOf(kind, id);
    const { lineage } = context.peer;
    const name = `${kind === KIND_AGENT ? "agent" : "gateway"} ${formatUuid(id)}`;
    const note = { action: "removeRecord", subject: name, detail: context.peer.subject } as const;
    await this.#parts.identities.note(note, lineage, context.deadlineMs);
    const { store } = partition;
    const slot = store.find(kind, id, 0, id.length);
    if (slot === -1) throw new RegistryError("not_found", `The ${name} is not registered`);
    const record = kind === KIND_AGENT ? store.agentView(slot) : store.gatewayView(slot);
    const command = encodeRemove(this.#header(partition, context), {
      id,
      incarnation: { generation: record.incarnationGeneration, index: record.incarnationIndex },
      process: 0,
      sequence: 0,
      kind,
    });
    const applied = await this.#parts.proposer.propose(partition, command, context.deadlineMs);
    if (applied.outcome.code !== "ok") throw refusalOf(applied.outcome);
    return {
      body: { removed: applied.outcome.count },
      receipts: [{ partition: partition.id, point: applied.point }],
    };
  }

  async #report(request: RequestView, context: WriteContext): Promise<WriteReply> {
    const body = request.bodyInto(reportRequestCodec.newView()).toPlain();
    const { kind, id } = body;
    if (!isRecordKind(kind)) throw unknownKind(kind);
    const partition = this.#homeOf(kind, id);
    this.#parts.access.checkOwner(context.peer, kind, id);
    const command = encodeReport(this.#header(partition, context), body);
    const applied = await this.#parts.proposer.propose(partition, command, context.deadlineMs);
    if (applied.outcome.code !== "ok") throw refusalOf(applied.outcome);
    return {
      body: { revision: applied.outcome.revision },
      receipts: [{ partition: partition.id, point: applied.point }],
    };
  }

  #homeOf(kind: RecordKind, id: Uint8Array): Partition {
    const partition = this.#parts.table.of(kind, id);
    if (partition === undefined) throw notReplica();
    return partition;
  }

  #header(partition: Partition, context: WriteContext) {
    return this.#parts.proposer.header(partition, context.peer.lineage);
  }
}

const NO_ID = new Uint8Array(16);
const NO_POSITION = { generation: 0, index: 0 };

function refusedOutcome(error: RegistryError): RegisterOutcome {
  return {
    id: NO_ID,
    incarnation: error.fields.incarnation ?? NO_POSITION,
    revision: NO_POSITION,
    remainingMs: 0,
    renewAfterMs: error.fields.retryAfterMs ?? 0,
    code: errorCodeToWire(error.code),
    created: false,
    message: error.message,
  };
}

function unknownKind(kind: number): RegistryError {
  return new RegistryError("invalid_argument", `kind must be 1 or 2: found ${kind}`, {
    field: "kind",
  });
}
