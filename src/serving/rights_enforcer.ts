/**
 * Removal of records whose owners have lost their rights to them ({@link RecordRights}). Their
 * renewals are refused immediately, and a logged command removes them, so that they are gone on all
 * replicas and after a restart. Each node does so for the partitions that it leads.
 *
 * A subject that may have lost a right is a suspect and is checked repeatedly for a while, because
 * a register may be in progress and a proposal may fail. In addition every subject that group 0
 * lists as banned, stopped or granted is checked when this node becomes the leader of a partition,
 * as the leader before may have left records behind, and once a minute.
 */
import { toRegistryError } from "../base/errors.ts";
import {
  RECORD_GRANT_GRACE_MS,
  RECORD_RIGHTS_AT_ONCE,
  RECORD_RIGHTS_CHECK_MS,
  RECORD_RIGHTS_ROUND_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { formatUuid } from "../base/uuid.ts";
import type { MonotonicClock, Scheduler, Timer, WallClock } from "../base/world.ts";
import { encodeRemove } from "../record/command.ts";
import { kindOwnedBy, type RecordKind, recordKindName } from "../record/kinds.ts";
import { BAN_KINDS } from "../../schemas/gen/wire.ts";
import type { Ban, IdentityState } from "../system/identity_state.ts";
import { parseSpiffeId, type SpiffeId } from "../../identity/pki/spiffe.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";
import type { Removal } from "./removal_notes.ts";
import type { RecordRights, RightsFault } from "./record_rights.ts";

/** Dependencies of a {@link RightsEnforcer}. */
export interface RightsEnforcerParts {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly rights: RecordRights;
  readonly state: () => IdentityState;
  /** Audits the removal of a record. */
  readonly note: (removal: Removal, deadlineMs: number) => Promise<void>;
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Record owned by a suspect. */
interface Owned {
  readonly partition: Partition;
  readonly kind: RecordKind;
  readonly id: Uint8Array;
  readonly slot: number;
}

/** Removes records that have lost their rights. */
export class RightsEnforcer {
  readonly #parts: RightsEnforcerParts;
  /** Suspects, and until when each is checked, monotonic ms. */
  readonly #suspects = new Map<string, number>();
  readonly #removing = new Set<string>();
  /** Grants that ended before this time were checked, Unix ms. */
  #endedBeforeMs = 0;
  #nextRoundMs = 0;
  #isRunning = false;
  /** Time at which the timer fires, monotonic ms. */
  #lookAtMs = Infinity;
  #timer: Timer | undefined;

  constructor(parts: RightsEnforcerParts) {
    this.#parts = parts;
    const { table } = parts;
    const follow = ({ store }: Partition) => store.onLeading = () => this.suspectAll();
    for (const partition of table.here()) follow(partition);
    table.watch((place) => place.isHere && follow(place));
  }

  /** Starts the checks. */
  start(): void {
    this.#isRunning = true;
    this.#plan(RECORD_RIGHTS_CHECK_MS);
  }

  /** Stops the checks; commands already proposed are committed or not, as any others. */
  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
  }

  /** Checks a subject whose rights may have changed. */
  suspect(subject: string): void {
    this.#suspects.set(subject, this.#parts.monotonic.nowMs() + 2 * REQUEST_TIMEOUT_MS_DEFAULT);
    if (!this.#isRunning) return;
    this.#check(subject);
    this.#plan(RECORD_RIGHTS_CHECK_MS);
  }

  /** Checks the subject of a ban, which may have lost a right or regained it. */
  suspectOf({ kind, name }: Pick<Ban, "kind" | "name">): void {
    const subject = subjectOf(this.#parts.state(), kind, name);
    if (subject !== undefined) this.suspect(subject);
  }

  /** Schedules a check of all subjects. */
  suspectAll(): void {
    this.#nextRoundMs = 0;
    // A node may become the leader of many partitions, one after the other.
    const byMs = this.#parts.monotonic.nowMs() + RECORD_RIGHTS_CHECK_MS;
    if (this.#isRunning && byMs < this.#lookAtMs) this.#plan(RECORD_RIGHTS_CHECK_MS);
  }

  /** Schedules a check for a grant that ends at `untilMs`, Unix ms. */
  endsAt(untilMs: number): void {
    if (!this.#isRunning) return;
    const leftMs = untilMs + RECORD_GRANT_GRACE_MS - this.#parts.wall.unixMs();
    const delayMs = Math.max(RECORD_RIGHTS_CHECK_MS, leftMs);
    if (this.#parts.monotonic.nowMs() + delayMs < this.#lookAtMs) this.#plan(delayMs);
  }

  #plan(delayMs: number): void {
    this.#timer?.cancel();
    this.#lookAtMs = this.#parts.monotonic.nowMs() + delayMs;
    this.#timer = this.#parts.scheduler.after(delayMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#parts.monotonic.nowMs();
    this.#suspectEnded();
    for (const [subject, untilMs] of this.#suspects) {
      this.#check(subject);
      if (untilMs <= nowMs) this.#suspects.delete(subject);
    }
    if (nowMs >= this.#nextRoundMs) {
      this.#nextRoundMs = nowMs + RECORD_RIGHTS_ROUND_MS;
      this.#round(allSuspects(this.#parts.state()));
    }
    if (this.#isRunning) this.#plan(this.#delayMs());
  }

  /** Returns the delay until the next check: of a suspect, an ended grant, or the next round. */
  #delayMs(): number {
    if (this.#suspects.size > 0) return RECORD_RIGHTS_CHECK_MS;
    const roundMs = this.#nextRoundMs - this.#parts.monotonic.nowMs();
    let endMs = Infinity;
    for (const { untilMs } of this.#parts.state().grants.values()) {
      if (untilMs >= this.#endedBeforeMs) endMs = Math.min(endMs, untilMs);
    }
    const grantMs = endMs + RECORD_GRANT_GRACE_MS - this.#parts.wall.unixMs();
    return Math.max(RECORD_RIGHTS_CHECK_MS, Math.min(roundMs, grantMs));
  }

  /** Adds the subjects of grants whose grace has ended since the last check to the suspects. */
  #suspectEnded(): void {
    const beforeMs = this.#parts.wall.unixMs() - RECORD_GRANT_GRACE_MS;
    for (const { subject, untilMs } of this.#parts.state().grants.values()) {
      if (untilMs < this.#endedBeforeMs || untilMs > beforeMs) continue;
      const untilLookedAtMs = this.#parts.monotonic.nowMs() + 2 * REQUEST_TIMEOUT_MS_DEFAULT;
      this.#suspects.set(subject, untilLookedAtMs);
    }
    this.#endedBeforeMs = beforeMs;
  }

  /** Checks all subjects, a limited number a turn. */
  #round(subjects: Iterator<string>): void {
    for (let count = 0; count < RECORD_RIGHTS_AT_ONCE; count++) {
      const next = subjects.next();
      if (next.done === true || !this.#isRunning) return;
      this.#check(next.value);
    }
    this.#parts.scheduler.nextTurn(() => this.#round(subjects));
  }

  #check(subject: string): void {
    const owned = this.#recordOf(subject);
    if (owned === undefined) return;
    const { partition: { store }, kind, slot } = owned;
    const fault = this.#parts.rights.faultOf(kind, store, slot);
    store.setEnded(slot, fault !== undefined);
    if (fault !== undefined && !this.#removing.has(subject)) void this.#end(subject, owned, fault);
  }

  /** Returns the record of a subject, if this node leads its partition. */
  #recordOf(subject: string): Owned | undefined {
    const owner = ownerOf(subject);
    if (owner === undefined) return undefined;
    const { role, subjectId: id } = owner;
    const kind = kindOwnedBy(role);
    if (kind === undefined) return undefined;
    const partition = this.#parts.table.of(kind, id);
    if (!partition.isHere || !partition.group.isLeading) return undefined;
    const slot = partition.store.find(kind, id, 0, id.length);
    return slot === -1 ? undefined : { partition, kind, id, slot };
  }

  async #end(subject: string, owned: Owned, fault: RightsFault): Promise<void> {
    const { proposer, logger, monotonic, note } = this.#parts;
    const { partition, kind, id, slot } = owned;
    const deadlineMs = monotonic.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT;
    const name = `${recordKindName(kind)} ${formatUuid(id)}`;
    const command = encodeRemove(proposer.header(partition, 0), {
      id,
      incarnation: partition.store.incarnationOf(slot),
      process: 0,
      sequence: 0,
      kind,
    });
    this.#removing.add(subject);
    try {
      const { outcome } = await proposer.propose(partition, command, deadlineMs);
      if (outcome.code !== "ok" || outcome.count === 0) return;
      logger.info("A record ended with its owner's right to it", { record: name, subject, fault });
      // The end of a token was known when it was issued, which is audited.
      if (fault !== "banned") return;
      const detail = `${subject} was banned, or its token`;
      await note({ kind, id, detail }, deadlineMs);
    } catch (error) {
      // It is checked again, and is not renewed meanwhile.
      const { code } = toRegistryError(error);
      logger.debug("A record was not removed, or its removal not audited", { record: name, code });
    } finally {
      this.#removing.delete(subject);
    }
  }
}

/** Parses a subject; returns `undefined` for the name of a ban that is not a SPIFFE id. */
function ownerOf(subject: string): SpiffeId | undefined {
  try {
    return parseSpiffeId(subject);
  } catch {
    // Earlier versions accepted bans of such names.
    return undefined;
  }
}

/** Returns the subject of a ban; `undefined` if group 0 knows none of that name. */
function subjectOf(state: IdentityState, kind: number, name: string): string | undefined {
  if (kind === BAN_KINDS.subject) return name;
  if (kind === BAN_KINDS.lineage) return state.lineage(Number(name))?.subject;
  return kind === BAN_KINDS.token ? state.grants.get(name)?.subject : undefined;
}

/** Yields all subjects whose rights may have ended. */
function* allSuspects(state: IdentityState): Generator<string, void, undefined> {
  for (const { kind, name } of state.bans()) {
    const subject = subjectOf(state, kind, name);
    if (subject !== undefined) yield subject;
  }
  for (const { subject, stopped } of state.stoppedLineages()) {
    if (stopped !== "replaced") yield subject;
  }
  for (const { subject } of state.grants.values()) yield subject;
}
