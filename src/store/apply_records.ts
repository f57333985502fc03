/**
 * What the commands on agents and gateways do: put, extend, remove, expire, report.
 *
 * Each first reads and checks all it needs, then changes the state, so that a refusal or a malformed
 * command has changed nothing. The rules of ownership in time are those of design §3: a process id
 * and a growing sequence order the requests of one owner, an incarnation fences records that were
 * created anew or taken over, and a tombstone remembers both for a while.
 */
import {
  COVER_TTLS,
  DOMAIN_BYTES_MAX,
  LEASE_TICK_MS,
  RECORD_BYTES_MAX,
  REGION_BYTES_MAX,
  SUPERSEDED_MS,
  SUPERSEDED_PROCESSES_MAX,
  TTL_MS_MAX,
  TTL_MS_MIN,
} from "../base/limits.ts";
import { isNilUuid } from "../base/uuid.ts";
import {
  type Agent,
  agentCodec,
  type AgentView,
  type Extra,
  type Gateway,
  gatewayCodec,
  type SupersededProcess,
} from "../../schemas/gen/record.ts";
import type { CommandView } from "../../schemas/gen/command.ts";
import { isRecordKind, KIND_AGENT, KIND_GATEWAY, type RecordKind } from "../record/key.ts";
import type { Leases } from "./leases.ts";
import type { PartitionState, RecordView } from "./partition_state.ts";
import { type ApplyReply, NO_POSITION, type Position, refusal, success } from "./reply.ts";
import { FLAG_EXPIRING, FLAG_TOMBSTONE } from "./slot_table.ts";

/** One entry, with its header read. */
export interface ApplyContext {
  readonly state: PartitionState;
  readonly leases: Leases;
  readonly command: CommandView;
  readonly data: Uint8Array;
  readonly view: DataView;
  readonly index: number;
  readonly unixS: number;
  readonly writer: number;
}

/** The highest state of a record: 0 active, 1 draining. */
export const RECORD_STATE_MAX = 1;

const NO_PROCESSES: readonly SupersededProcess[] = [];

function incarnationOf(
  record: { readonly incarnationGeneration: number; readonly incarnationIndex: number },
): Position {
  return { generation: record.incarnationGeneration, index: record.incarnationIndex };
}

/** True where the view's incarnation is the one that the item names. */
function sameIncarnation(
  record: RecordView,
  item: { readonly incarnationGeneration: number; readonly incarnationIndex: number },
): boolean {
  return record.incarnationIndex === item.incarnationIndex &&
    record.incarnationGeneration === item.incarnationGeneration;
}

function describe(position: Position): string {
  return position.index === 0 ? "none" : `${position.generation}:${position.index}`;
}

function moved(current: Position): ApplyReply {
  return refusal(
    "superseded",
    `Incarnation must be the current one, ${describe(current)}: the request names another`,
    { incarnation: current },
  );
}

function invalid(field: string, message: string): ApplyReply {
  return refusal("invalid_argument", message, { field });
}

/** Those of a record's superseded processes that are still refused. */
function supersededOf(state: PartitionState, record: RecordView): readonly SupersededProcess[] {
  if (!record.hasExtra) return NO_PROCESSES;
  const { superseded } = record.extra;
  return superseded.count === 0 ? NO_PROCESSES : stillRefused(state, superseded.toPlain());
}

function stillRefused(
  state: PartitionState,
  processes: readonly SupersededProcess[],
): readonly SupersededProcess[] {
  return processes.filter((superseded) => superseded.untilMs > state.timeMs);
}

// Put.

/** What a put found out before it changes anything. */
interface PutPlan {
  readonly kind: RecordKind;
  /** The slot of the record or tombstone; -1: none. */
  readonly slot: number;
  readonly live: boolean;
  /** True where a new incarnation begins. */
  readonly fresh: boolean;
  readonly superseded: readonly SupersededProcess[];
}

/** Register: create, renew with new content, or take over. */
export function applyPut(context: ApplyContext): ApplyReply {
  const { state, command, data, view } = context;
  const { views } = state.shared;
  const put = command.bodyInto(views.put);
  const kind = put.kind;
  if (!isRecordKind(kind)) {
    return invalid("kind", `Kind must be 1 (agent) or 2 (gateway): found ${kind}`);
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
  const incoming = (kind === KIND_AGENT ? views.agentIn : views.gatewayIn)
    .wrap(view, data, start, end);
  const refused = checkIncoming(state, kind, incoming, data, view, start);
  if (refused !== undefined) return refused;
  const plan = planPut(state, kind, incoming, data, expected);
  return "code" in plan ? plan : executePut(context, plan, incoming, start, end);
}

/** Checks what the state relies on; the edge has checked the rest. */
function checkIncoming(
  state: PartitionState,
  kind: RecordKind,
  record: RecordView,
  data: Uint8Array,
  view: DataView,
  start: number,
): ApplyReply | undefined {
  const { layout } = kind === KIND_AGENT ? agentCodec : gatewayCodec;
  // Later changes patch the form in place, so all of it must be there, right behind its root pointer.
  if (
    view.getUint32(start, true) !== 0 || view.getUint16(start + 4, true) !== layout.dataWords ||
    view.getUint16(start + 6, true) !== layout.pointerWords
  ) return refusal("malformed", "Record must be in the stored form: its root struct is not");
  if (isNilUuid(data, record.idOffset)) return invalid("id", "Id must not be nil: it is");
  const { ttlMs, state: recordState } = record;
  if (ttlMs < TTL_MS_MIN || ttlMs > TTL_MS_MAX) {
    return invalid("ttlMs", `ttlMs must be in [${TTL_MS_MIN}, ${TTL_MS_MAX}]: found ${ttlMs}`);
  }
  if (recordState > RECORD_STATE_MAX) {
    return invalid("state", `State must be 0 or 1: found ${recordState}`);
  }
  const regionLength = record.regionLength;
  if (regionLength === 0 || regionLength > REGION_BYTES_MAX) {
    return invalid("region", `Region must have 1 to ${REGION_BYTES_MAX} bytes: ${regionLength}`);
  }
  if (record.domainLength > DOMAIN_BYTES_MAX) {
    return invalid("domain", `Domain must have at most ${DOMAIN_BYTES_MAX} bytes`);
  }
  if (record.hasExtra) {
    // Positioning a list checks its bounds, so that a later read of it cannot fail.
    if (record.extra.labels.count > RECORD_BYTES_MAX || record.extra.superseded.count > 0) {
      return refusal(
        "malformed",
        "Superseded processes must be left to the registry: some are named",
      );
    }
  }
  return kind === KIND_AGENT ? checkClaim(state, record as AgentView) : undefined;
}

/** An agent with a domain holds it by a claim that was not revoked. */
function checkClaim(state: PartitionState, agent: AgentView): ApplyReply | undefined {
  const claim = { generation: agent.claimGeneration, index: agent.claimIndex };
  if (agent.domainLength === 0) {
    if (claim.index === 0 && claim.generation === 0) return undefined;
    return invalid("claim", "Claim must be absent where no domain is named: found one");
  }
  if (claim.index === 0) return invalid("claim", "Claim must come with a domain: found none");
  if (!state.isRevoked(agent.id, claim)) return undefined;
  return refusal("claim_revoked", `Claim must stand: ${describe(claim)} was revoked`, { claim });
}

function planPut(
  state: PartitionState,
  kind: RecordKind,
  incoming: RecordView,
  data: Uint8Array,
  expected: Position,
): PutPlan | ApplyReply {
  const { table } = state;
  const idAt = incoming.idOffset;
  const { process, sequence } = incoming;
  const slot = table.find(kind, data, idAt, idAt + 16);
  if (slot === -1) return { kind, slot, live: false, fresh: true, superseded: NO_PROCESSES };
  if (table.hasFlag(slot, FLAG_TOMBSTONE)) return planOverTombstone(state, kind, slot, incoming);

  const current = state.recordView(slot);
  const incarnation = incarnationOf(current);
  const superseded = supersededOf(state, current);
  if (process === current.process) {
    if (sequence < current.sequence) return stale(sequence, current.sequence, incarnation);
    if (sequence === current.sequence) {
      return success({
        incarnation,
        revision: { generation: current.revisionGeneration, index: current.revisionIndex },
        duplicate: true,
      });
    }
    return { kind, slot, live: true, fresh: false, superseded };
  }
  if (isSuperseded(superseded, process)) return supersededProcess(incarnation);
  if (expected.index !== incarnation.index || expected.generation !== incarnation.generation) {
    return refusal(
      "incarnation_mismatch",
      `Another process holds the record; to take it over, name incarnation ${
        describe(incarnation)
      }: found ${describe(expected)}`,
      { incarnation },
    );
  }
  return { kind, slot, live: true, fresh: true, superseded: supersede(state, superseded, current) };
}

function planOverTombstone(
  state: PartitionState,
  kind: RecordKind,
  slot: number,
  incoming: RecordView,
): PutPlan | ApplyReply {
  const { process, sequence } = incoming;
  const tombstone = state.tombstoneView(slot);
  if (tombstone.forgetAtMs <= state.timeMs) {
    return { kind, slot, live: false, fresh: true, superseded: NO_PROCESSES };
  }
  const superseded = stillRefused(state, tombstone.superseded.toPlain());
  if (process === tombstone.process) {
    if (sequence <= tombstone.sequence) return stale(sequence, tombstone.sequence, NO_POSITION);
    return { kind, slot, live: false, fresh: true, superseded };
  }
  if (isSuperseded(superseded, process)) return supersededProcess(NO_POSITION);
  // The process before must stay refused when this one's record, and so the tombstone, is replaced.
  return {
    kind,
    slot,
    live: false,
    fresh: true,
    superseded: supersede(state, superseded, tombstone),
  };
}

function isSuperseded(superseded: readonly SupersededProcess[], process: number): boolean {
  return superseded.some((other) => other.process === process);
}

function supersede(
  state: PartitionState,
  before: readonly SupersededProcess[],
  loser: { readonly process: number },
): readonly SupersededProcess[] {
  const added = { process: loser.process, untilMs: state.timeMs + SUPERSEDED_MS };
  return [...before, added].slice(-SUPERSEDED_PROCESSES_MAX);
}

function stale(found: number, needed: number, incarnation: Position): ApplyReply {
  return refusal(
    "stale_sequence",
    `Sequence must be above ${needed}, the last of this process: found ${found}`,
    { incarnation },
  );
}

function supersededProcess(incarnation: Position): ApplyReply {
  return refusal("superseded", "Process must not have lost the record to another: it has", {
    incarnation,
  });
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
  const coverBeforeMs = before === undefined || plan.fresh ? 0 : before.leaseExpiryMs;
  const dueBefore = plan.live ? state.table.dueOf(plan.slot) : 0;
  // A ttl that shrinks does not take back what was promised.
  const leaseExpiryMs = Math.max(coverBeforeMs, state.timeMs + COVER_TTLS * incoming.ttlMs);

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
  if (before !== undefined) dropClaim(state, plan, incoming, index);
  let slot = plan.slot;
  if (slot === -1) slot = state.insert(plan.kind, bytes, start, end);
  else state.replace(slot, bytes, start, end);

  const record = state.recordView(slot);
  record.incarnationGeneration = incarnation.generation;
  record.incarnationIndex = incarnation.index;
  record.revisionGeneration = position.generation;
  record.revisionIndex = position.index;
  record.leaseExpiryMs = leaseExpiryMs;
  record.lastSeenUnixS = context.unixS;
  record.writer = context.writer;
  state.table.setDue(slot, plan.fresh ? 0 : dueBefore);
  leases.granted(slot, leases.grantTimeMs(), plan.fresh);
  state.emit(!plan.fresh ? "updated" : plan.live ? "taken_over" : "registered", slot, index);
  return success({ incarnation, revision: position, created: plan.fresh });
}

/** Encodes the incoming record with its superseded processes into the writer; its bytes. */
function encodeWithSuperseded(state: PartitionState, plan: PutPlan, incoming: RecordView): number {
  const { writer } = state.shared;
  const plain = incoming.toPlain();
  const extra: Extra = {
    credentialHash: plain.extra?.credentialHash ?? new Uint8Array(0),
    labels: plain.extra?.labels ?? [],
    superseded: [...plan.superseded],
  };
  writer.reset();
  if (plan.kind === KIND_AGENT) agentCodec.append(writer, { ...(plain as Agent), extra });
  else gatewayCodec.append(writer, { ...(plain as Gateway), extra });
  return writer.length;
}

/** Tells of a claim that a live agent is about to lose by a change. */
function dropClaim(
  state: PartitionState,
  plan: PutPlan,
  incoming: RecordView,
  index: number,
): void {
  if (plan.kind !== KIND_AGENT) return;
  const before = state.recordView(plan.slot) as AgentView;
  const after = incoming as AgentView;
  if (before.claimIndex === 0) return;
  if (
    before.claimIndex === after.claimIndex && before.claimGeneration === after.claimGeneration
  ) return;
  state.emit("claim_dropped", plan.slot, index);
}

// The others.

/** Extends covers; items whose record moved on are skipped. */
export function applyExtend({ state, leases, command, data, unixS, index }: ApplyContext) {
  const { items } = command.bodyInto(state.shared.views.extend);
  let count = 0;
  for (let position = 0; position < items.count; position++) {
    const item = items.at(position);
    const idAt = item.idOffset;
    if (!isRecordKind(item.kind)) continue;
    const slot = state.findLive(item.kind, data, idAt, idAt + 16);
    if (slot === -1) continue;
    const record = state.recordView(slot);
    if (!sameIncarnation(record, item)) continue;
    const renewedMs = Math.max(0, command.timeMs - item.renewedAgo * LEASE_TICK_MS);
    const coverMs = renewedMs + COVER_TTLS * record.ttlMs;
    if (coverMs > record.leaseExpiryMs) record.leaseExpiryMs = coverMs;
    record.lastSeenUnixS = unixS;
    leases.granted(slot, renewedMs, false);
    state.emit("extended", slot, index);
    count++;
  }
  return success({ count });
}

/** Deregister. */
export function applyRemove({ state, command, data, index }: ApplyContext): ApplyReply {
  const remove = command.bodyInto(state.shared.views.remove);
  const { kind, process, sequence } = remove;
  if (!isRecordKind(kind)) return invalid("kind", `Kind must be 1 or 2: found ${kind}`);
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

/** Removes what the leader saw expire; items whose record moved on are refused by themselves. */
export function applyExpire({ state, command, data, index }: ApplyContext): ApplyReply {
  const { items } = command.bodyInto(state.shared.views.expire);
  let count = 0;
  for (let position = 0; position < items.count; position++) {
    const item = items.at(position);
    const idAt = item.idOffset;
    if (!isRecordKind(item.kind)) continue;
    const slot = state.findLive(item.kind, data, idAt, idAt + 16);
    if (slot === -1) continue;
    const record = state.recordView(slot);
    if (!sameIncarnation(record, item) || record.leaseExpiryMs !== item.leaseExpiryMs) {
      state.table.clearFlag(slot, FLAG_EXPIRING);
      continue;
    }
    buryRecord(state, slot, record.sequence, "expired", index);
    count++;
  }
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
  if (state.table.kindOf(slot) === KIND_AGENT) {
    const agent = state.recordView(slot) as AgentView;
    if (agent.claimIndex !== 0) state.emit("claim_dropped", slot, index);
  }
  state.bury(slot, sequence, superseded);
}

/** A gateway's use, or a record's state. */
export function applyReport({ state, command, data, index }: ApplyContext): ApplyReply {
  const { views } = state.shared;
  const report = command.bodyInto(views.report);
  const { kind } = report;
  if (!isRecordKind(kind)) return invalid("kind", `Kind must be 1 or 2: found ${kind}`);
  if (report.setState && report.state > RECORD_STATE_MAX) {
    return invalid("state", `State must be 0 or 1: found ${report.state}`);
  }
  if (report.setUsed && kind !== KIND_GATEWAY) {
    return invalid("used", "Use must be reported of a gateway: the record is an agent");
  }
  const { usedCpu, usedBandwidthMbps } = report;
  if (!isAmount(usedCpu) || !isAmount(usedBandwidthMbps)) {
    return invalid("used", `Use must be finite and not negative: ${usedCpu}, ${usedBandwidthMbps}`);
  }
  const idAt = report.idOffset;
  const slot = state.findLive(kind, data, idAt, idAt + 16);
  if (slot === -1) return gone();
  const record = state.recordView(slot);
  if (!sameIncarnation(record, report)) return moved(incarnationOf(record));
  if (report.setState) record.state = report.state;
  if (report.setUsed) {
    const gateway = views.gateway;
    gateway.usedCpu = usedCpu;
    gateway.usedMemoryMiB = report.usedMemoryMiB;
    gateway.usedStorageMiB = report.usedStorageMiB;
    gateway.usedBandwidthMbps = usedBandwidthMbps;
    gateway.usedConnections = report.usedConnections;
  }
  const revision = { generation: state.generation, index };
  record.revisionGeneration = revision.generation;
  record.revisionIndex = revision.index;
  state.emit("updated", slot, index);
  return success({ revision, incarnation: incarnationOf(state.recordView(slot)) });
}

function isAmount(value: number): boolean {
  return value >= 0 && Number.isFinite(value);
}
