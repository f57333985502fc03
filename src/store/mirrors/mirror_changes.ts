/** The changes of one batch, applied one by one; a bad one does not stop the others. */
import type {
  MirrorAliasItemView,
  MirrorAliasSweepView,
  MirrorBatchCommandView,
  MirrorPutView,
  MirrorRemovalView,
  MirrorSweepView,
} from "../../../schemas/gen/command.ts";
import {
  mirrorAliasCodec,
  type MirrorAliasView,
  mirrorCodec,
} from "../../../schemas/gen/record.ts";
import { RegistryError } from "../../base/errors.ts";
import { DOMAIN_BYTES_MAX, MIRRORED_BYTES_MAX, REGION_BYTES_MAX } from "../../base/limits.ts";
import { comparePositions, type Position } from "../../base/position.ts";
import { isNilUuid, UUID_BYTES } from "../../base/uuid.ts";
import { KIND_MIRROR, KIND_MIRROR_ALIAS } from "../../record/key.ts";
import type { ApplyContext } from "../apply_context.ts";
import type { RecordView } from "../partition_state.ts";
import { type ApplyReply, success } from "../reply.ts";
import {
  compareOrders,
  type MirrorOrder,
  type MirrorShardState,
  type MirrorSourceState,
  tombstoneKey,
} from "./mirror_sources.ts";
import { orderOf } from "./mirror_table.ts";

/** A list of a command. */
interface Items<Item> {
  readonly count: number;
  at(position: number): Item;
}

/** The outcome of a change: whether it took effect, was too late, or must not be mirrored. */
type Outcome = "changed" | "late" | "refused";

/** A view with a revision. */
interface Revised {
  readonly revisionGeneration: number;
  readonly revisionIndex: number;
}

function revisionOf({ revisionGeneration: generation, revisionIndex: index }: Revised): Position {
  return { generation, index };
}

/** Applies the changes of a batch. */
export class MirrorChanges {
  readonly #context: ApplyContext;
  readonly #batch: MirrorBatchCommandView;
  readonly #source: MirrorSourceState;
  readonly #shard: MirrorShardState;
  readonly #home: string;
  readonly #feed: number;
  #changed = 0;
  #refused = 0;

  constructor(
    context: ApplyContext,
    batch: MirrorBatchCommandView,
    source: MirrorSourceState,
    shard: MirrorShardState,
  ) {
    this.#context = context;
    this.#batch = batch;
    this.#source = source;
    this.#shard = shard;
    this.#home = source.home;
    this.#feed = batch.feed;
  }

  /** Applies all changes. Their order within the batch does not matter, as each names its own. */
  apply(): ApplyReply {
    const batch = this.#batch;
    this.#each(batch.puts, (item) => this.#put(item));
    this.#each(batch.removals, (item) => this.#removal(item));
    this.#each(batch.sweeps, (item) => this.#sweep(item));
    this.#each(batch.aliases, (item) => this.#alias(item));
    this.#each(batch.aliasRemovals, (item) => this.#aliasRemoval(item));
    this.#each(batch.aliasSweeps, (item) => this.#aliasSweep(item));
    const { cursors } = batch;
    for (let at = 0; at < cursors.count; at++) this.#source.advance(cursors.at(at).toPlain());
    return success({ count: this.#changed, refused: this.#refused });
  }

  #each<Item>(items: Items<Item>, apply: (item: Item) => Outcome): void {
    for (let at = 0; at < items.count; at++) {
      let outcome: Outcome;
      try {
        outcome = apply(items.at(at));
      } catch (error) {
        // Bytes of another region that are no record; nothing was changed yet.
        if (!(error instanceof RegistryError)) throw error;
        outcome = "refused";
      }
      if (outcome === "changed") this.#changed++;
      else if (outcome === "refused") this.#refused++;
    }
  }

  #put(item: MirrorPutView): Outcome {
    const { state: { mirrors }, data } = this.#context;
    const { kind } = item;
    const record = this.#recordOf(item);
    if (record === undefined) return "refused";
    const order = { feed: this.#feed, revision: revisionOf(item) };
    const idAt = record.idOffset;
    const slot = mirrors.findOf(this.#source, kind, data, idAt);
    if (slot !== -1 && compareOrders(orderOf(mirrors.view(slot)), order) >= 0) return "late";
    if (this.#isRemovedSince(order, kind, idAt)) return "late";
    if (record.scope !== 0) {
      // It left the global scope, and neither its home nor the puller should have sent it.
      if (slot !== -1) this.#remove(slot, tombstoneKey(kind, data, idAt), order);
      return "refused";
    }
    this.#revive(kind, idAt);
    const { recordOffset: start, recordLength } = item;
    const { writer } = this.#context.state.shared;
    writer.reset();
    mirrorCodec.append(writer, {
      id: { bytes: data, start: idAt, end: idAt + UUID_BYTES },
      kind,
      feed: order.feed,
      revision: order.revision,
      home: this.#home,
      record: { bytes: data, start, end: start + recordLength },
    });
    this.#stored(KIND_MIRROR, slot);
    return "changed";
  }

  /** Reports whether the record with the id at `idAt` was removed by that change or a later one. */
  #isRemovedSince(order: MirrorOrder, kind: number, idAt: number): boolean {
    // The key costs more than the rest of a change, and most of the time nothing was removed.
    if (!this.#source.hasRemoved) return false;
    const removed = this.#source.removed(tombstoneKey(kind, this.#context.data, idAt));
    return removed !== undefined && compareOrders(removed, order) >= 0;
  }

  /** Drops the tombstone of the record with the id at `idAt`, if there is one. */
  #revive(kind: number, idAt: number): void {
    if (this.#shard.removedCount === 0) return;
    this.#shard.revive(tombstoneKey(kind, this.#context.data, idAt));
  }

  /** Returns the view on an item's record, if it is one that can be stored and found. */
  #recordOf({ kind, recordOffset: start, recordLength: length }: MirrorPutView) {
    const { state: { shared }, data, view } = this.#context;
    const row = shared.kinds.find(kind);
    if (row === undefined || length < 8 || length > MIRRORED_BYTES_MAX) return undefined;
    const { dataWords, pointerWords } = row.codec.layout;
    // A later program's record may be longer.
    if (
      view.getUint32(start, true) !== 0 || view.getUint16(start + 4, true) < dataWords ||
      view.getUint16(start + 6, true) < pointerWords
    ) return undefined;
    const record = shared.views.incoming[kind]!.wrap(view, data, start, start + length);
    return isFindable(record, data) ? record : undefined;
  }

  #removal(item: MirrorRemovalView): Outcome {
    const { state: { mirrors }, data } = this.#context;
    const { kind, idOffset } = item;
    const order = { feed: this.#feed, revision: revisionOf(item) };
    const slot = mirrors.findOf(this.#source, kind, data, idOffset);
    const key = tombstoneKey(kind, data, idOffset);
    if (slot === -1) {
      const removed = this.#source.removed(key);
      if (removed !== undefined && compareOrders(removed, order) < 0) {
        this.#bury(key, removed.id, kind, order);
      }
      return "late";
    }
    if (compareOrders(orderOf(mirrors.view(slot)), order) > 0) return "late";
    this.#remove(slot, key, order);
    return "changed";
  }

  #sweep(item: MirrorSweepView): Outcome {
    const { state: { mirrors }, data } = this.#context;
    const { kind, idOffset, feed } = item;
    const seen = { feed, revision: revisionOf(item) };
    const slot = mirrors.findOf(this.#source, kind, data, idOffset);
    if (slot === -1 || compareOrders(orderOf(mirrors.view(slot)), seen) !== 0) return "late";
    if (!this.#isListed(seen, item)) return "late";
    this.#remove(slot, tombstoneKey(kind, data, idOffset), seen);
    return "changed";
  }

  /** Reports whether a listing of this feed at that position came after the change. */
  #isListed(
    seen: MirrorOrder,
    listed: { readonly listedGeneration: number; readonly listedIndex: number },
  ): boolean {
    const position = { generation: listed.listedGeneration, index: listed.listedIndex };
    return compareOrders(seen, { feed: this.#feed, revision: position }) <= 0;
  }

  /** Removes a mirror, and remembers up to which change. */
  #remove(slot: number, key: string, order: MirrorOrder): void {
    const { state } = this.#context;
    const { id, kind } = state.mirrors.view(slot);
    this.#end(slot);
    this.#bury(key, id, kind, order);
  }

  #bury(key: string, id: Uint8Array, kind: number, { feed, revision }: MirrorOrder): void {
    const { fence, batch } = this.#shard;
    this.#shard.bury(key, { id: id.slice(), kind, feed, revision, fence, batch });
  }

  #alias(item: MirrorAliasItemView): Outcome {
    const { domainLength: length } = item;
    if (length === 0 || length > DOMAIN_BYTES_MAX) return "refused";
    const slot = this.#aliasOf(item);
    if (slot !== -1 && this.#compareAlias(slot, this.#feed, item) >= 0) return "late";
    const { agentId, domain } = item;
    const claim = claimOf(item);
    const revision = revisionOf(item);
    const { writer } = this.#context.state.shared;
    writer.reset();
    const alias = { agentId, claim, revision, feed: this.#feed, home: this.#home, domain };
    mirrorAliasCodec.append(writer, alias);
    this.#stored(KIND_MIRROR_ALIAS, slot);
    return "changed";
  }

  #aliasRemoval(item: MirrorAliasItemView): Outcome {
    const slot = this.#aliasOf(item);
    if (slot === -1 || this.#compareAlias(slot, this.#feed, item) > 0) return "late";
    this.#end(slot);
    return "changed";
  }

  #aliasSweep(item: MirrorAliasSweepView): Outcome {
    const slot = this.#aliasOf(item);
    if (slot === -1 || this.#compareAlias(slot, item.feed, item) !== 0) return "late";
    if (!this.#isListed({ feed: item.feed, revision: revisionOf(item) }, item)) return "late";
    this.#end(slot);
    return "changed";
  }

  #aliasOf(
    { domainOffset, domainLength }: {
      readonly domainOffset: number;
      readonly domainLength: number;
    },
  ): number {
    const { state: { mirrors }, data } = this.#context;
    return mirrors.findAliasOf(this.#source, data, domainOffset, domainOffset + domainLength);
  }

  /**
   * Compares the alias at a slot with a change: by claim, as claims on a domain follow one another, and
   * then by revision, as the same agent may give a claim up and come back with it.
   */
  #compareAlias(slot: number, feed: number, item: Claimed & Revised): number {
    const alias = this.#context.state.mirrors.aliasView(slot);
    return alias.feed - feed || comparePositions(claimOf(alias), claimOf(item)) ||
      comparePositions(revisionOf(alias), revisionOf(item));
  }

  /** Stores the form in the shared writer, in place of the one at `slot` if that is not -1. */
  #stored(kind: number, slot: number): void {
    const { state, index } = this.#context;
    state.storeWritten(kind, slot, "mirrored", index);
  }

  /** Removes the content of a slot. */
  #end(slot: number): void {
    const { state, index } = this.#context;
    state.emit("mirror_removed", slot, index);
    state.remove(slot);
  }
}

/** A view with a claim. */
type Claimed = Pick<MirrorAliasView, "claimGeneration" | "claimIndex">;

function claimOf({ claimGeneration: generation, claimIndex: index }: Claimed): Position {
  return { generation, index };
}

/** Reports whether a record has the fields that the state relies on; its home has checked the others. */
function isFindable(record: RecordView, data: Uint8Array): boolean {
  const { regionLength, domainLength } = record;
  // Positioning a list checks its bounds, so that reading it later cannot fail.
  if (record.hasExtra && record.extra.labels.count + record.extra.superseded.count < 0) {
    return false;
  }
  return !isNilUuid(data, record.idOffset) && regionLength > 0 &&
    regionLength <= REGION_BYTES_MAX && domainLength <= DOMAIN_BYTES_MAX;
}
