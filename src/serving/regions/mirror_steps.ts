/**
 * The steps of pullers at the leader of a partition that is here: fences and batches are logged, cursors
 * and mirrors are read. Another node may ask for them only while group 0 has it follow the region, so that
 * a stolen node identity cannot make up mirrors of regions that it does not follow.
 */
import {
  commandCodec,
  MirrorBatchCommandView,
  MirrorFenceCommandView,
} from "../../../schemas/gen/command.ts";
import type {
  HeldAlias,
  HeldMirror,
  LogMirrorsReply,
  LogMirrorsRequest,
  ReadMirrorsReply,
  ReadMirrorsRequest,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import { COMMAND_KINDS } from "../../record/command.ts";
import { KIND_MIRROR, KIND_MIRROR_ALIAS } from "../../record/key.ts";
import { MIRRORS_APPLY_VERSION } from "../../store/apply_version.ts";
import type { PartitionStore } from "../../store/store.ts";
import type { PeerRegion } from "../../system/regions/region_state.ts";
import { SENDER_FIELD } from "../leader_calls.ts";
import type { PartitionVersions } from "../partition_versions.ts";
import { notReplica, type Partition, type PartitionTable } from "../partitions.ts";
import { type Proposer, refusalOf } from "../proposer.ts";
import type { RequestContext } from "../request_context.ts";

/** Dependencies of {@link MirrorSteps}. */
export interface MirrorStepsParts {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly versions: PartitionVersions;
  /** Returns a peer region, as this node's copy of group 0 has it. */
  readonly regionOf: (name: string) => PeerRegion | undefined;
}

/** Takes steps of pullers. */
export class MirrorSteps {
  readonly #parts: MirrorStepsParts;
  readonly #command = commandCodec.newView();

  constructor(parts: MirrorStepsParts) {
    this.#parts = parts;
  }

  /**
   * Logs a fence or batch in a partition here.
   *
   * @throws RegistryError the refusal; `not_leader`.
   */
  async logHere(
    partition: Partition,
    command: Uint8Array,
    deadlineMs: number,
  ): Promise<LogMirrorsReply> {
    const { versions, proposer } = this.#parts;
    checkLed(partition);
    await versions.ensure(partition, MIRRORS_APPLY_VERSION, deadlineMs);
    const { outcome } = await proposer.propose(partition, command, deadlineMs);
    if (outcome.code !== "ok") throw refusalOf(outcome);
    const { count, refused } = outcome;
    return { count, refused };
  }

  /** Returns what a partition here has of a region, with all that was logged. @throws RegistryError */
  async readHere(
    partition: Partition,
    request: Omit<ReadMirrorsRequest, "partition">,
    deadlineMs: number,
  ): Promise<ReadMirrorsReply> {
    checkLed(partition);
    const { group, store } = partition;
    const permitted = await group.readBarrier(0, this.#parts.proposer.leftMs(deadlineMs));
    if (permitted instanceof RegistryError) throw permitted;
    return heldOf(store, request);
  }

  /** Serves LogMirrors. */
  async log(
    { partition, command }: LogMirrorsRequest,
    context: RequestContext,
  ): Promise<LogMirrorsReply> {
    this.#checkSender(context, this.#sourceOf(command));
    return await this.logHere(this.#held(partition), command.slice(), context.deadlineMs);
  }

  /** Serves ReadMirrors. */
  async read(
    { partition, ...request }: ReadMirrorsRequest,
    context: RequestContext,
  ): Promise<ReadMirrorsReply> {
    this.#checkSender(context, { home: request.home });
    return await this.readHere(this.#held(partition), request, context.deadlineMs);
  }

  #held(number: number): Partition {
    const { table } = this.#parts;
    if (number >= table.partitioner.partitionCount) throw invalid("partition", "exist");
    const place = table.at(number);
    if (!place.isHere) throw notReplica(place);
    return place;
  }

  /** Returns the region and shard of a command. */
  #sourceOf(bytes: Uint8Array): { readonly home: string; readonly shard: number } {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const command = this.#command.wrap(view, bytes, 0, bytes.length);
    switch (command.kind) {
      case COMMAND_KINDS.mirrorFence:
        return command.bodyInto(new MirrorFenceCommandView());
      case COMMAND_KINDS.mirrorBatch:
        return command.bodyInto(new MirrorBatchCommandView());
      default:
        throw invalid("command", "be a fence or a batch of mirrors");
    }
  }

  #checkSender(
    { node }: RequestContext,
    { home, shard }: { readonly home: string; readonly shard?: number },
  ): void {
    const pullers = this.#parts.regionOf(home)?.pullers ?? [];
    const isPuller = pullers.some((puller) =>
      puller.nodeId === node && (shard === undefined || puller.shard === shard)
    );
    if (isPuller) return;
    throw new RegistryError(
      "permission_denied",
      `Node ${node} must follow region ${home} to mirror it: group 0 does not have it do so`,
      { field: SENDER_FIELD },
    );
  }
}

function checkLed({ group }: Partition): void {
  const refusal = group.notLeading();
  if (refusal !== undefined) throw refusal;
}

/** Returns what a store has of a region. */
function heldOf(
  store: PartitionStore,
  { home, page, pages }: Omit<ReadMirrorsRequest, "partition">,
): ReadMirrorsReply {
  const source = store.mirrors.source(home);
  const mirrors: HeldMirror[] = [];
  const aliases: HeldAlias[] = [];
  if (source === undefined) return { feed: 0, cursors: [], count: 0, mirrors, aliases };
  const { feed, mirrorCount, aliasCount } = source;
  if (pages > 0) {
    store.forEachSlot(KIND_MIRROR, (slot) => {
      const view = store.mirrors.view(slot);
      if (view.home !== home || pageOf(view.id, pages) !== page) return;
      const { id, kind, revisionGeneration: generation, revisionIndex: index } = view;
      mirrors.push({ id, kind, feed: view.feed, revision: { generation, index } });
    });
    store.forEachSlot(KIND_MIRROR_ALIAS, (slot) => {
      const view = store.mirrors.aliasView(slot);
      if (view.home !== home || pageOf(view.agentId, pages) !== page) return;
      const { home: _, ...alias } = view.toPlain();
      aliases.push(alias);
    });
  }
  const cursors = [...source.cursors.values()];
  return { feed, cursors, count: mirrorCount + aliasCount, mirrors, aliases };
}

/** Returns the page of an id among some: by its last four bytes. */
function pageOf(id: Uint8Array, pages: number): number {
  return new DataView(id.buffer, id.byteOffset, id.length).getUint32(id.length - 4) % pages;
}

function invalid(field: string, wanted: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${wanted}: it does not`, { field });
}
