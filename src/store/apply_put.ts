/**
 * Register: creates a record, renews it with new content, or takes it over.
 *
 * Everything is read and checked before anything changes: first the stored form, then the right to
 * write it (a process id and a growing sequence order the requests of one owner, an incarnation
 * fences records that were created again or taken over, a tombstone remembers both for a while),
 * then the change. Source: design §3, "Ownership in time".
 */
import {
  COVER_TTLS,
  DOMAIN_BYTES_MAX,
  RECORD_BYTES_MAX,
  REGION_BYTES_MAX,
  TTL_MS_MAX,
  TTL_MS_MIN,
} from "../base/limits.ts";
import { NO_POSITION, type Position, samePosition } from "../base/position.ts";
import { isNilUuid } from "../base/uuid.ts";
import {
  type AgentView,
  type Extra,
  extraCodec,
  type SupersededProcess,
} from "../../schemas/gen/record.ts";
import type { Succession } from "../record/kind_row.ts";
import type { AnyKindRow } from "../record/kinds.ts";
import { isStaleState } from "../record/record_state.ts";
import { type ApplyContext, invalid, RECORD_SCOPE_MAX, RECORD_STATE_MAX } from "./apply_context.ts";
import { SCOPES_APPLY_VERSION } from "./apply_version.ts";
import {
  describe,
  incarnationOf,
  isSuperseded,
  NO_PROCESSES,
  stale,
  stillRefused,
  supersede,
  supersededOf,
  supersededProcess,
} from "./ownership.ts";
import type { PartitionState, RecordView } from "./partition_state.ts";
import { type ApplyReply, refusal, success } from "./reply.ts";
import { FLAG_BY_COVER, FLAG_TOMBSTONE } from "./slot_table.ts";

/** The decisions of a put before it changes anything. */
interface PutPlan {
  readonly row: AnyKindRow;
  /** Slot of the record or tombstone; -1 if none. */
  readonly slot: number;
  readonly live: boolean;
  /** True when a new incarnation begins. */
  readonly fresh: boolean;
  readonly superseded: readonly SupersededProcess[];
}

/** Applies a register: creates a record, renews it with new content, or takes it over. */
export function applyPut(context: ApplyContext): ApplyReply {
  const { state, command, data, view } = context;
  const { views, kinds } = state.shared;
  const put = command.bodyInto(views.put);
  const row = kinds.find(put.kind);
  if (row === undefined || (row.applyVersion ?? 0) > state.applyVersion) {
    return invalid("kind", kinds.expected(put.kind));
  }
  const start = put.recordOffset;
  const end = start + put.recordLength;
  const expected = { generation: put.expectedGeneration, index: put.expectedIndex };
  if (end - start > RECORD_BYTES_MAX) {
    return refusal(
      "too_large",
      `Record must have at most ${RECORD_BYTES_MAX} bytes: ${end - start}`,
    );
  }
  const incoming = views.incoming[row.number]!.wrap(view, data, start, end);
  const refused = checkIncoming(state, row, incoming, data, view, start);
  if (refused !== undefined) return refused;
  const plan = planPut(state, row, incoming, data, expected);
  return "code" in plan ? plan : executePut(context, plan, incoming, start, end);
}

/** Checks the properties that the state relies on; the edge has checked the others. */
function checkIncoming(
  state: PartitionState,
  row: AnyKindRow,
  record: RecordView,
  data: Uint8Array,
  view: DataView,
  start: number,
): ApplyReply | undefined {
  const { layout } = row.codec;
  // Later changes patch the form in place, so all of it must be present, right behind its root
  // pointer.
  if (
    view.getUint32(start, true) !== 0 || view.getUint16(start + 4, true) !== layout.dataWords ||
    view.getUint16(start + 6, true) !== layout.pointerWords
  ) return refusal("malformed", "Record must be in the stored form: its root struct is not");
  if (isNilUuid(data, record.idOffset)) return invalid("id", "Id must not be nil: it is");
  const { ttlMs, state: recordState } = record;
  const [ttlMsMin, ttlMsMax] = row.hasLease ? [TTL_MS_MIN, TTL_MS_MAX] : [0, 0];
  if (ttlMs < ttlMsMin || ttlMs > ttlMsMax) {
    return invalid("ttlMs", `ttlMs must be in [${ttlMsMin}, ${ttlMsMax}]: found ${ttlMs}`);
  }
  if (recordState > RECORD_STATE_MAX) {
    return invalid("state", `State must be 0 or 1: found ${recordState}`);
  }
  const { scope } = record;
  if (scope > (state.applyVersion < SCOPES_APPLY_VERSION ? 0 : RECORD_SCOPE_MAX)) {
    return invalid("scope", `Scope must be one that the partition knows: found ${scope}`);
  }
  const regionLength = record.regionLength;
  if (regionLength === 0 || regionLength > REGION_BYTES_MAX) {
    return invalid("region", `Region must have 1 to ${REGION_BYTES_MAX} bytes: ${regionLength}`);
  }
  if (record.domainLength > DOMAIN_BYTES_MAX) {
    return invalid("domain", `Domain must have at most ${DOMAIN_BYTES_MAX} bytes`);
  }
  if (record.hasExtra) {
    // Positioning a list checks its bounds, so that reading it later cannot fail.
    if (record.extra.labels.count > RECORD_BYTES_MAX || record.extra.superseded.count > 0) {
      return refusal(
        "malformed",
        "Superseded processes are set by the registry only: the record names some",
      );
    }
  }
  return row.claimsDomain ? checkClaim(state, record as AgentView) : undefined;
}

/** Checks that an agent with a domain has a claim on it that was not revoked. */
function checkClaim(state: PartitionState, agent: AgentView): ApplyReply | undefined {
  const claim = { generation: agent.claimGeneration, index: agent.claimIndex };
  if (agent.domainLength === 0) {
    if (claim.index === 0 && claim.generation === 0) return undefined;
    return invalid("claim", "Claim must be absent where no domain is named: found one");
  }
  if (claim.index === 0) return invalid("claim", "Claim must come with a domain: found none");
  if (!state.isRevoked(agent.id, claim)) return undefined;
  return refusal("claim_revoked", `Claim ${describe(claim)} was revoked: make another`, { claim });
}

function planPut(
  state: PartitionState,
  row: AnyKindRow,
  incoming: RecordView,
  data: Uint8Array,
  expected: Position,
): PutPlan | ApplyReply {
  const { table } = state;
  const idAt = incoming.idOffset;
  const { process, sequence } = incoming;
  const slot = table.find(row.number, data, idAt, idAt + 16);
  if (slot === -1) return { row, slot, live: false, fresh: true, superseded: NO_PROCESSES };
  if (table.hasFlag(slot, FLAG_TOMBSTONE)) return planOverTombstone(state, row, slot, incoming);

  const current = state.recordView(slot);
  const incarnation = incarnationOf(current);
  const superseded = supersededOf(state, current);
  const succession = successionOf(row, current, incoming);
  if (process === current.process) {
    // Readers see the process in the stored form, so it is no proof of ownership.
    if (typeof succession === "object") return notSucceeding(succession, incarnation);
    if (sequence < current.sequence) return stale(sequence, current.sequence, incarnation);
    if (sequence === current.sequence) {
      return success({
        incarnation,
        revision: { generation: current.revisionGeneration, index: current.revisionIndex },
        duplicate: true,
      });
    }
    return { row, slot, live: true, fresh: succession === "replaces", superseded };
  }
  if (isSuperseded(superseded, process)) return supersededProcess(incarnation);
  if (typeof succession === "object") return notSucceeding(succession, incarnation);
  if (succession === undefined && !samePosition(expected, incarnation)) {
    return refusal(
      "incarnation_mismatch",
      `Another process holds the record; to take it over, name incarnation ${
        describe(incarnation)
      }: found ${describe(expected)}`,
      { incarnation },
    );
  }
  return {
    ...{ row, slot, live: true, fresh: succession !== "updates" },
    superseded: supersede(state, superseded, current),
  };
}

/**
 * Decides about a registration of a kind whose records name their owner. A record whose lease is over keeps
 * nobody else out.
 */
function successionOf(row: AnyKindRow, current: RecordView, incoming: RecordView) {
  const succession = row.ownership?.succession(current, incoming);
  return typeof succession === "object" && isStaleState(current.state) ? "replaces" : succession;
}

/** Returns the refusal of a registration by others than the owner that the live record names. */
function notSucceeding(
  { code, message }: Exclude<Succession, string>,
  incarnation: Position,
): ApplyReply {
  return refusal(code, message, { incarnation });
}

function planOverTombstone(
  state: PartitionState,
  row: AnyKindRow,
  slot: number,
  incoming: RecordView,
): PutPlan | ApplyReply {
  const { process, sequence } = incoming;
  const tombstone = state.tombstoneView(slot);
  if (tombstone.forgetAtMs <= state.timeMs) {
    return { row, slot, live: false, fresh: true, superseded: NO_PROCESSES };
  }
  const superseded = stillRefused(state, tombstone.superseded.toPlain());
  if (process === tombstone.process) {
    if (sequence <= tombstone.sequence) return stale(sequence, tombstone.sequence, NO_POSITION);
    return { row, slot, live: false, fresh: true, superseded };
  }
  if (isSuperseded(superseded, process)) return supersededProcess(NO_POSITION);
  // The previous process must stay refused when this one's record, and so the tombstone, is
  // replaced.
  return {
    row,
    slot,
    live: false,
    fresh: true,
    superseded: supersede(state, superseded, tombstone),
  };
}

function executePut(
  context: ApplyContext,
  plan: PutPlan,
  incoming: RecordView,
  start: number,
  end: number,
): ApplyReply {
  const { state, leases, index } = context;
  const position = { generation: state.generation, index };
  const before = plan.live ? state.recordView(plan.slot) : undefined;
  const incarnation = before === undefined || plan.fresh ? position : incarnationOf(before);
  const { table } = state;
  // The due time of a stale record is when it is looked at again, and no lease.
  const isLeased = before !== undefined && !isStaleState(before.state);
  const dueBefore = isLeased ? table.dueOf(plan.slot) : 0;
  const byCover = isLeased && table.hasFlag(plan.slot, FLAG_BY_COVER);
  const kept = plan.fresh ? undefined : before;
  const leaseExpiryMs = plan.row.hasLease ? coverOf(state.timeMs, incoming.ttlMs, kept) : 0;

  let bytes = context.data;
  if (plan.superseded.length > 0) {
    const encoded = encodeWithSuperseded(state, plan, incoming);
    if (encoded > RECORD_BYTES_MAX) {
      return refusal("too_large", `Record must have at most ${RECORD_BYTES_MAX} bytes: ${encoded}`);
    }
    bytes = state.shared.writer.bytes;
    start = 0;
    end = encoded;
  }
  if (before !== undefined) {
    state.keepForm(plan.slot);
    dropClaim(state, plan, incoming, index);
  }
  let slot = plan.slot;
  if (slot === -1) slot = state.insert(plan.row.number, bytes, start, end);
  else state.replace(slot, bytes, start, end);

  const record = state.recordView(slot);
  record.incarnationGeneration = incarnation.generation;
  record.incarnationIndex = incarnation.index;
  record.revisionGeneration = position.generation;
  record.revisionIndex = position.index;
  record.leaseExpiryMs = leaseExpiryMs;
  record.lastSeenUnixS = context.unixS;
  record.writer = context.writer;
  table.setDue(slot, dueBefore);
  if (byCover) table.setFlag(slot, FLAG_BY_COVER);
  leases.granted(slot, leases.grantTimeMs(), plan.fresh);
  if (plan.live) state.emitChange(plan.fresh ? "taken_over" : "updated", slot, index);
  else state.emit("registered", slot, index);
  return success({ incarnation, revision: position, created: plan.fresh });
}

/**
 * Returns the cover after a register at `timeMs`, ms: twice the ttl from then, and never shorter
 * than before. When the ttl changes, the cover also reaches one new ttl beyond any lease promised
 * under the old ttl: a new leader, which knows only covers, then knows the end of the lease from
 * the first renewal on (leases.ts).
 */
function coverOf(timeMs: number, ttlMs: number, before: RecordView | undefined): number {
  const coverMs = timeMs + COVER_TTLS * ttlMs;
  if (before === undefined) return coverMs;
  const beforeMs = before.leaseExpiryMs;
  if (before.ttlMs === ttlMs) return Math.max(coverMs, beforeMs);
  const promisedMsMax = Math.min(beforeMs, timeMs + TTL_MS_MAX);
  return Math.max(coverMs, beforeMs, promisedMsMax + ttlMs);
}

/**
 * Encodes the incoming record with its superseded processes into the writer; returns its size in
 * bytes.
 */
function encodeWithSuperseded(state: PartitionState, plan: PutPlan, incoming: RecordView): number {
  const { writer } = state.shared;
  const plain = incoming.toPlain();
  const extra: Extra = {
    ...plain.extra ?? extraCodec.empty(),
    superseded: [...plan.superseded],
  };
  writer.reset();
  plan.row.codec.append(writer, { ...plain, extra });
  return writer.length;
}

/** Emits an event when a live agent is about to lose a claim by a change. */
function dropClaim(
  state: PartitionState,
  plan: PutPlan,
  incoming: RecordView,
  index: number,
): void {
  if (!plan.row.claimsDomain) return;
  const before = state.recordView(plan.slot) as AgentView;
  const after = incoming as AgentView;
  if (before.claimIndex === 0) return;
  if (
    before.claimIndex === after.claimIndex && before.claimGeneration === after.claimGeneration
  ) return;
  state.emit("claim_dropped", plan.slot, index);
}
