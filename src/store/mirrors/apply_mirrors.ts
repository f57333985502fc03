/**
 * Commands on mirrors: the fence of a puller, its batches, and the end of a region.
 *
 * A puller's batches are applied without a gap, and only while no other puller has logged a higher
 * fence. Each change names its place among all changes of its record (the accepted generation of the
 * feed, then the revision of the home region), and has no effect if a later one was seen: batches may
 * be repeated, also by another puller from an older cursor, and a mirror never goes back. A mirror is
 * removed only because its home removed it, or because a complete listing that came after its last
 * change did not have it. Source: design §6.
 */
import {
  type MirrorBatchCommandView,
  MirrorDropCommandView,
  MirrorFenceCommandView,
} from "../../../schemas/gen/command.ts";
import {
  MIRROR_HOMES_MAX,
  MIRROR_ITEMS_MAX,
  MIRROR_SHARDS_MAX,
  MIRRORS_DROPPED_MAX,
  REGION_BYTES_MAX,
} from "../../base/limits.ts";
import { KIND_MIRROR, KIND_MIRROR_ALIAS } from "../../record/key.ts";
import { type ApplyContext, invalid } from "../apply_context.ts";
import { MIRRORS_APPLY_VERSION } from "../apply_version.ts";
import type { PartitionState } from "../partition_state.ts";
import { type ApplyReply, refusal, success } from "../reply.ts";
import { MirrorChanges } from "./mirror_changes.ts";
import type { MirrorShardState, MirrorSourceState } from "./mirror_sources.ts";

/** Applies the fence of a puller: from now on, the batches of no other one are taken. */
export function applyMirrorFence({ state, command }: ApplyContext): ApplyReply {
  if (state.applyVersion < MIRRORS_APPLY_VERSION) return tooEarly(state);
  const { home, shard, fence } = command.bodyInto(new MirrorFenceCommandView());
  if (!isHome(home)) return invalid("home", NO_HOME);
  if (shard >= MIRROR_SHARDS_MAX) {
    return invalid("shard", `Shard must be below ${MIRROR_SHARDS_MAX}: found ${shard}`);
  }
  const { sources } = state.mirrors;
  const known = sources.find(home)?.shards.get(shard);
  if (known?.fence === fence) return success({ duplicate: true });
  const highest = known?.fence ?? sources.floor;
  if (fence <= highest) {
    return refusal("superseded", `Fence must be above ${highest}: found ${fence}`);
  }
  if (known === undefined && !sources.hasRoom(home)) {
    return refusal("overloaded", `Regions must be at most ${MIRROR_HOMES_MAX}: one has no room`);
  }
  sources.source(home).shard(shard).follow(fence);
  return success({ count: 1 });
}

/**
 * Applies a batch of changes. Those that came before, or that a later change has overtaken, have no
 * effect; those that must not be mirrored are counted as refused.
 */
export function applyMirrorBatch(context: ApplyContext): ApplyReply {
  const { state, command } = context;
  if (state.applyVersion < MIRRORS_APPLY_VERSION) return tooEarly(state);
  const batch = command.bodyInto(state.shared.views.mirrorBatch);
  const source = state.mirrors.sources.find(batch.home);
  const shard = source?.shards.get(batch.shard);
  if (source === undefined || shard === undefined || batch.fence > shard.fence) {
    const message = `Fence ${batch.fence} must be logged before its batches: it is not`;
    return refusal("incarnation_mismatch", message);
  }
  const refused = refusedBatch(batch, source, shard);
  if (refused !== undefined) return refused;
  if (batch.number <= shard.batch) return success({ duplicate: true });

  shard.settle(batch.settled, batch.settledEarlier);
  const count = itemCount(batch);
  if (count > MIRROR_ITEMS_MAX) {
    return refusal("too_large", `Changes must be at most ${MIRROR_ITEMS_MAX}: found ${count}`);
  }
  if (!shard.hasRoom(batch.removals.count + batch.sweeps.count)) {
    return refusal(
      "overloaded",
      "Removed mirrors must be settled first: there is no room for more",
    );
  }
  shard.batch = batch.number;
  if (batch.feed > source.feed) source.begin(batch.feed);
  return new MirrorChanges(context, batch, source, shard).apply();
}

function refusedBatch(
  { fence, number, feed }: MirrorBatchCommandView,
  source: MirrorSourceState,
  shard: MirrorShardState,
): ApplyReply | undefined {
  if (fence < shard.fence) {
    return refusal("superseded", `Fence must be ${shard.fence}, another puller's: found ${fence}`);
  }
  if (number > shard.batch + 1) {
    return refusal("stale_sequence", `Batch must be ${shard.batch + 1}: found ${number}`);
  }
  if (feed < source.feed) {
    return refusal("superseded", `Feed must be of generation ${source.feed}: found ${feed}`);
  }
  return undefined;
}

function itemCount(
  { puts, removals, sweeps, aliases, aliasRemovals, aliasSweeps }: MirrorBatchCommandView,
): number {
  return puts.count + removals.count + sweeps.count + aliases.count + aliasRemovals.count +
    aliasSweeps.count;
}

/**
 * Removes mirrors of a region that is no peer any more, some at a time, and then what is known of it. A
 * puller of a later assignment prevents that: the region was added again.
 */
export function applyMirrorDrop({ state, command, index }: ApplyContext): ApplyReply {
  if (state.applyVersion < MIRRORS_APPLY_VERSION) return tooEarly(state);
  const { home, fence } = command.bodyInto(new MirrorDropCommandView());
  const { sources } = state.mirrors;
  for (const [number, shard] of sources.find(home)?.shards ?? []) {
    if (shard.fence > fence) {
      return refusal("superseded", `Fence of shard ${number} must be at most ${fence}`);
    }
    // What its puller still sends is refused from now on.
    if (shard.fence < fence) shard.follow(fence);
  }
  const { table } = state;
  let count = 0;
  // The last slot, which was visited, takes the place of a removed one.
  for (let slot = table.count - 1; slot >= 0 && count < MIRRORS_DROPPED_MAX; slot--) {
    if (homeOf(state, slot) !== home) continue;
    state.emit("mirror_removed", slot, index);
    state.remove(slot);
    count++;
  }
  if (count < MIRRORS_DROPPED_MAX) sources.drop(home, fence);
  return success({ count });
}

/** Returns the home of a mirror or alias; undefined if the slot holds something else. */
function homeOf({ table, mirrors }: PartitionState, slot: number): string | undefined {
  const kind = table.kindOf(slot);
  if (kind === KIND_MIRROR) return mirrors.view(slot).home;
  return kind === KIND_MIRROR_ALIAS ? mirrors.aliasView(slot).home : undefined;
}

const NO_HOME = `Home must be the name of a region of 1 to ${REGION_BYTES_MAX} bytes: it is not`;

function isHome(home: string): boolean {
  return home.length > 0 && new TextEncoder().encode(home).length <= REGION_BYTES_MAX;
}

/** Returns the refusal of a command that earlier programs do not know. */
function tooEarly({ applyVersion }: PartitionState): ApplyReply {
  const needed = MIRRORS_APPLY_VERSION;
  return refusal(
    "unsupported_version",
    `The partition must have apply version ${needed} for mirrors: it has ${applyVersion}`,
  );
}
