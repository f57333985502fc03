/**
 * The other commands on agents and gateways: extend, remove, expire, report. Items of a command
 * that refer to a record that has changed are skipped individually. Source: design §3.
 */
import { COVER_TTLS, LEASE_TICK_MS } from "../base/limits.ts";
import type { Position } from "../base/position.ts";
import type { AgentView, GatewayView } from "../../schemas/gen/record.ts";
import type { ExpireItemView } from "../../schemas/gen/command.ts";
import { STALE_APPLY_VERSION } from "../record/kind_row.ts";
import { isStaleState, staleState } from "../record/record_state.ts";
import { type ApplyContext, invalid, RECORD_STATE_MAX } from "./apply_context.ts";
import { describe, incarnationOf, stale, supersededOf } from "./ownership.ts";
import type { PartitionState, RecordView } from "./partition_state.ts";
import { type ApplyReply, refusal, success } from "./reply.ts";
import { FLAG_EXPIRING, FLAG_TOMBSTONE } from "./slot_table.ts";
import { setStale } from "./stale_records.ts";

/** Reports whether the record has the incarnation that the item names. */
function sameIncarnation(
  record: RecordView,
  item: { readonly incarnationGeneration: number; readonly incarnationIndex: number },
): boolean {
  return record.incarnationIndex === item.incarnationIndex &&
    record.incarnationGeneration === item.incarnationGeneration;
}

function moved(current: Position): ApplyReply {
  return refusal(
    "superseded",
    `Incarnation must be the current one, ${describe(current)}: the request names another`,
    { incarnation: current },
  );
}

/** Applies the items that name a live record with a lease; returns how many of them had effect. */
function applyToLeased<Item extends { readonly kind: number; readonly idOffset: number }>(
  { state, data }: ApplyContext,
  items: { readonly count: number; at(position: number): Item },
  apply: (item: Item, slot: number) => boolean,
): number {
  let count = 0;
  for (let position = 0; position < items.count; position++) {
    const item = items.at(position);
    const { kind, idOffset } = item;
    if (!state.shared.kinds.hasLease(kind)) continue;
    const slot = state.findLive(kind, data, idOffset, idOffset + 16);
    if (slot !== -1 && apply(item, slot)) count++;
  }
  return count;
}

/** Applies an extension of covers; items whose record has changed are skipped. */
export function applyExtend(context: ApplyContext): ApplyReply {
  const { state, leases, command, unixS, index } = context;
  const { items } = command.bodyInto(state.shared.views.extend);
  const count = applyToLeased(context, items, (item, slot) => {
    if (!sameIncarnation(state.recordView(slot), item)) return false;
    const record = state.writableRecord(slot);
    const isStale = isStaleState(record.state);
    if (isStale) state.keepForm(slot);
    const renewedMs = Math.max(0, command.timeMs - item.renewedAgo * LEASE_TICK_MS);
    const coverMs = renewedMs + COVER_TTLS * record.ttlMs;
    if (coverMs > record.leaseExpiryMs) record.leaseExpiryMs = coverMs;
    record.lastSeenUnixS = unixS;
    if (isStale) {
      setStale(state, slot, false);
      setRevision(state, record, index);
    }
    // The due time of a stale record is when it is looked at again, and no lease.
    leases.granted(slot, renewedMs, isStale);
    if (isStale) state.emitChange("recovered", slot, index);
    else state.emit("extended", slot, index);
    return true;
  });
  return success({ count });
}

/** Applies a deregister. */
export function applyRemove({ state, command, data, index }: ApplyContext): ApplyReply {
  const remove = command.bodyInto(state.shared.views.remove);
  const { kind, process, sequence } = remove;
  const { kinds } = state.shared;
  if (kinds.find(kind) === undefined) return invalid("kind", kinds.expected(kind));
  const idAt = remove.idOffset;
  const slot = state.table.find(kind, data, idAt, idAt + 16);
  if (slot === -1) return gone();
  if (state.table.hasFlag(slot, FLAG_TOMBSTONE)) {
    const tombstone = state.tombstoneView(slot);
    const same = tombstone.forgetAtMs > state.timeMs &&
      tombstone.incarnationIndex === remove.incarnationIndex &&
      tombstone.incarnationGeneration === remove.incarnationGeneration;
    return same ? success() : gone();
  }
  const record = state.recordView(slot);
  const incarnation = incarnationOf(record);
  if (!sameIncarnation(record, remove)) return moved(incarnation);
  const owners = process !== 0 && process === record.process;
  if (owners && sequence < record.sequence) return stale(sequence, record.sequence, incarnation);
  const last = owners ? Math.max(sequence, record.sequence) : record.sequence;
  buryRecord(state, slot, last, "removed", index);
  return success({ count: 1, incarnation });
}

function gone(): ApplyReply {
  return refusal("not_found", "Record must be registered: it is not");
}

/**
 * Removes records that the leader saw expire; items whose record has changed are skipped, and so are those
 * without the permit that their kind needs.
 */
export function applyExpire(context: ApplyContext): ApplyReply {
  const { state, index } = context;
  const needsPermit = state.applyVersion >= STALE_APPLY_VERSION;
  return applyToOverdue(context, (record, slot, { permit, kind }) => {
    if (needsPermit && permit === 0 && state.shared.kinds.isGuarded(kind)) return false;
    buryRecord(state, slot, record.sequence, "expired", index);
    return true;
  });
}

/** Marks records whose leases are over as stale; items whose record has changed are skipped. */
export function applyStale(context: ApplyContext): ApplyReply {
  const { state, leases, index } = context;
  if (state.applyVersion < STALE_APPLY_VERSION) {
    const message =
      `Apply version must be at least ${STALE_APPLY_VERSION} to mark records as stale`;
    return refusal("invalid_argument", message);
  }
  return applyToOverdue(context, (before, slot) => {
    if (isStaleState(before.state)) return false;
    state.keepForm(slot);
    setStale(state, slot, true);
    const record = state.writableRecord(slot);
    // Nobody promised more, and a new leader learns from it since when the record is stale.
    record.leaseExpiryMs = state.timeMs;
    setRevision(state, record, index);
    leases.becameStale(slot);
    state.emitChange("stale", slot, index);
    return true;
  });
}

/** Applies the items of an expiry whose record still has the cover that the leader saw. */
function applyToOverdue(
  context: ApplyContext,
  apply: (record: RecordView, slot: number, item: ExpireItemView) => boolean,
): ApplyReply {
  const { state, command } = context;
  const { items } = command.bodyInto(state.shared.views.expire);
  const count = applyToLeased(context, items, (item, slot) => {
    const record = state.recordView(slot);
    const isSame = sameIncarnation(record, item) && record.leaseExpiryMs === item.leaseExpiryMs;
    if (isSame && apply(record, slot, item)) return true;
    state.table.clearFlag(slot, FLAG_EXPIRING);
    return false;
  });
  return success({ count });
}

function buryRecord(
  state: PartitionState,
  slot: number,
  sequence: number,
  type: "removed" | "expired",
  index: number,
): void {
  const superseded = supersededOf(state, state.recordView(slot));
  state.emit(type, slot, index);
  if (state.shared.kinds.row(state.table.kindOf(slot)).claimsDomain) {
    const agent = state.recordView(slot) as AgentView;
    if (agent.claimIndex !== 0) state.emit("claim_dropped", slot, index);
  }
  state.bury(slot, sequence, superseded);
}

/** Applies a report of a gateway's use, or of a record's state. */
export function applyReport({ state, command, data, index }: ApplyContext): ApplyReply {
  const { views, kinds } = state.shared;
  const report = command.bodyInto(views.report);
  const { kind } = report;
  const row = kinds.find(kind);
  if (row === undefined) return invalid("kind", kinds.expected(kind));
  if (report.setState && report.state > RECORD_STATE_MAX) {
    return invalid("state", `State must be 0 or 1: found ${report.state}`);
  }
  if (report.setUsed && !row.reportsUse) {
    return invalid(
      "used",
      `Use must be of a record with a capacity: the record is of kind ${row.name}`,
    );
  }
  const { usedCpu, usedBandwidthMbps } = report;
  if (!isAmount(usedCpu) || !isAmount(usedBandwidthMbps)) {
    return invalid("used", `Use must be finite and not negative: ${usedCpu}, ${usedBandwidthMbps}`);
  }
  const idAt = report.idOffset;
  const slot = state.findLive(kind, data, idAt, idAt + 16);
  if (slot === -1) return gone();
  const before = state.recordView(slot);
  const incarnation = incarnationOf(before);
  if (!sameIncarnation(before, report)) return moved(incarnation);
  const { process, sequence } = report;
  const isOwners = process !== 0 && process === before.process;
  if (isOwners && sequence < before.sequence) return stale(sequence, before.sequence, incarnation);
  if (isOwners && sequence === before.sequence) return duplicateReport(before, incarnation);
  state.keepForm(slot);
  const record = state.writableRecord(slot);
  if (isOwners) record.sequence = sequence;
  if (report.setState) {
    record.state = isStaleState(record.state) ? staleState(report.state) : report.state;
  }
  if (report.setUsed) {
    const gateway = record as GatewayView;
    gateway.usedCpu = usedCpu;
    gateway.usedMemoryMiB = report.usedMemoryMiB;
    gateway.usedStorageMiB = report.usedStorageMiB;
    gateway.usedBandwidthMbps = usedBandwidthMbps;
    gateway.usedConnections = report.usedConnections;
  }
  const revision = setRevision(state, record, index);
  state.emitChange("updated", slot, index);
  return success({ revision, incarnation });
}

/** Sets the revision of a record that the entry at `index` changes, and returns it. */
function setRevision({ generation }: PartitionState, record: RecordView, index: number): Position {
  record.revisionGeneration = generation;
  record.revisionIndex = index;
  return { generation, index };
}

/** Returns the reply to a report that was applied before; nothing changes. */
function duplicateReport(record: RecordView, incarnation: Position): ApplyReply {
  const revision = { generation: record.revisionGeneration, index: record.revisionIndex };
  return success({ revision, incarnation, duplicate: true });
}

function isAmount(value: number): boolean {
  return value >= 0 && Number.isFinite(value);
}
