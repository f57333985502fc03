/**
 * The expiry guard's part of group 0: permits to remove records whose leases are over, from a budget per
 * region and minute, and what operators hold or release.
 *
 * A permit is a number that is given once. A draw names how many records of a region wait for one and how
 * many are silent. While too many are silent at once, only records that have been stale for long get
 * permits; nothing else is remembered of a mass loss, so nothing can be stuck in it. A leader starts with
 * empty budgets, so that many elections give no more permits than one leader would. Times are the group's.
 */
import type { CommandView } from "../../../schemas/gen/command.ts";
import {
  DrawPermitsCommandView,
  ExpiryRecordView,
  type SteerExpiryCommand,
  SteerExpiryCommandView,
} from "../../../schemas/gen/system.ts";
import { EXPIRY_ACTIONS, type PermitDemand, type PermitGrant } from "../../../schemas/gen/wire.ts";
import {
  DEPARTURE_DETAIL_MAX,
  EXPIRY_BUDGET_MS,
  EXPIRY_FLOOR_MAX,
  EXPIRY_HOLD_MS_MAX,
  EXPIRY_REGIONS_MAX,
  EXPIRY_RELEASE_MS,
  PERMIT_REGIONS_PER_DRAW_MAX,
  REGION_BYTES_MAX,
} from "../../base/limits.ts";
import type { CommandHeader } from "../../record/command.ts";
import { STALE_APPLY_VERSION } from "../../record/kind_row.ts";
import type { AuditState } from "../identities/audit_state.ts";
import type { MemberState } from "../members/member_state.ts";
import { type EntryPoint, full, invalid, type SubMachine } from "../sub_machine.ts";
import type { VersionState } from "../versions/version_state.ts";
import {
  type BudgetSettings,
  ExpiryBudget,
  isMassLoss,
  permitsPerMinute,
} from "./expiry_budget.ts";
import { encodeExpiryRecord, EXPIRY_KINDS } from "./expiry_codec.ts";

/** The parts of group 0's state that expiry depends on. */
export interface ExpiryStateParts {
  readonly members: MemberState;
  readonly versions: VersionState;
  readonly audit: AuditState;
}

/** Decisions of operators about a region, by the group times at which they end. */
export interface SteeredRegion {
  readonly holdUntilMs: number;
  readonly releaseUntilMs: number;
}

/** The last draw of a node. */
interface Draw {
  readonly draw: number;
  /** One for each region asked for, in the same order. */
  readonly grants: readonly PermitGrant[];
}

const ALL_REGIONS = "";
const NOT_STEERED: SteeredRegion = Object.freeze({ holdUntilMs: 0, releaseUntilMs: 0 });
const NO_GRANT: PermitGrant = Object.freeze({
  first: 0,
  count: 0,
  isMass: false,
  isHeld: false,
  isReleased: false,
});

/** Permits, budgets, holds and releases. */
export class ExpiryState implements SubMachine {
  readonly section = 14;
  readonly kinds = Object.values(EXPIRY_KINDS);
  readonly #parts: ExpiryStateParts;
  readonly #budgets = new Map<string, ExpiryBudget>();
  /** By node. */
  readonly #draws = new Map<number, Draw>();
  /** By region. */
  readonly #steered = new Map<string, SteeredRegion>();
  #nextPermit = 1;
  /** The term of the last draw. */
  #term = 0;
  #ledFromMs = 0;
  /** Index of the last command that released stale records; 0: none. */
  releases = 0;

  constructor(parts: ExpiryStateParts) {
    this.#parts = parts;
  }

  /** Decisions of operators by region; "" stands for all. Some may have ended. */
  get steered(): ReadonlyMap<string, SteeredRegion> {
    return this.#steered;
  }

  /** Returns the number of holds at a group time. */
  holdsAt(nowMs: number): number {
    return [...this.#steered.values()].filter(({ holdUntilMs }) => holdUntilMs > nowMs).length;
  }

  /** Returns what a draw of a node was given; undefined if another one followed. */
  grantsOf(nodeId: number, draw: number): readonly PermitGrant[] | undefined {
    const last = this.#draws.get(nodeId);
    return last?.draw === draw ? last.grants : undefined;
  }

  get isEmpty(): boolean {
    return this.#nextPermit === 1 && this.#draws.size === 0 && this.releases === 0 &&
      this.#steered.size === 0;
  }

  apply(command: CommandView, at: EntryPoint): void {
    if (this.#parts.versions.applyVersion < STALE_APPLY_VERSION) {
      throw invalid(`Apply version must be at least ${STALE_APPLY_VERSION} for permits to expire`);
    }
    if (command.kind === EXPIRY_KINDS.draw) return this.#draw(command, at);
    if (command.kind === EXPIRY_KINDS.steer) return this.#steer(command, at);
    throw invalid("A record of expiry occurs only in images");
  }

  #draw(command: CommandView, { term }: EntryPoint): void {
    const body = command.bodyInto(new DrawPermitsCommandView()).toPlain();
    const { draw, nodeId, ledFromMs, sharePermille, floor, items } = body;
    const { members } = this.#parts;
    // A node that is alone is no member of anything.
    if (members.all.length > 0 && !members.has(nodeId)) {
      throw invalid(`Node ${nodeId} must be a member to draw permits`);
    }
    if (items.length > PERMIT_REGIONS_PER_DRAW_MAX || sharePermille > 1_000) {
      throw invalid(`A draw must have at most ${PERMIT_REGIONS_PER_DRAW_MAX} regions, and a share`);
    }
    if (floor > EXPIRY_FLOOR_MAX) throw invalid(`Floor must be at most ${EXPIRY_FLOOR_MAX}`);
    if (this.#draws.get(nodeId)?.draw === draw) return;
    const nowMs = command.timeMs;
    if (term !== this.#term) {
      this.#term = term;
      this.#ledFromMs = Math.min(ledFromMs, nowMs);
      this.#budgets.clear();
    }
    this.#forget(nowMs);
    const settings = { sharePermille, floor };
    const grants = items.map((demand) => Object.freeze(this.#grant(demand, settings, nowMs)));
    this.#draws.set(nodeId, { draw, grants });
  }

  #grant(demand: PermitDemand, settings: BudgetSettings, nowMs: number): PermitGrant {
    const { region, lapsed, stale, confirmed, released, fleet } = demand;
    const steered = this.#steeringOf(region, nowMs);
    const isMass = isMassLoss(settings, demand);
    const isReleased = steered.releaseUntilMs > nowMs && released > 0;
    if (!isReleased && steered.holdUntilMs > nowMs) return { ...NO_GRANT, isMass, isHeld: true };
    const count = isReleased ? released : this.#budgetOf(region).take(
      confirmed + (isMass ? 0 : stale + lapsed),
      permitsPerMinute(settings, fleet),
      nowMs,
    );
    if (count === 0) return { ...NO_GRANT, isMass };
    const first = this.#nextPermit;
    this.#nextPermit += count;
    return { first, count, isMass, isHeld: false, isReleased };
  }

  #budgetOf(region: string): ExpiryBudget {
    const found = this.#budgets.get(region);
    if (found !== undefined) return found;
    const made = new ExpiryBudget(this.#ledFromMs);
    if (this.#budgets.size < EXPIRY_REGIONS_MAX) this.#budgets.set(region, made);
    // One region too many has none until others are forgotten.
    else made.atMs = Infinity;
    return made;
  }

  /**
   * Returns the decisions about a region, alone or with all others. A release that is in force lets the
   * released records go during a hold: the hold is of all regions and was set before.
   */
  #steeringOf(region: string, nowMs: number): SteeredRegion {
    const own = this.#steered.get(region) ?? NOT_STEERED;
    const all = this.#steered.get(ALL_REGIONS) ?? NOT_STEERED;
    return {
      holdUntilMs: Math.max(own.holdUntilMs, all.holdUntilMs),
      // A hold of the region was set after a release of all, which would have ended it.
      releaseUntilMs: own.holdUntilMs > nowMs
        ? 0
        : Math.max(own.releaseUntilMs, all.releaseUntilMs),
    };
  }

  /** Forgets what has no effect any more: a budget that is full is as one that is new. */
  #forget(nowMs: number): void {
    for (const [region, { atMs }] of this.#budgets) {
      if (nowMs - atMs >= EXPIRY_BUDGET_MS) this.#budgets.delete(region);
    }
    for (const [region, { holdUntilMs, releaseUntilMs }] of this.#steered) {
      if (Math.max(holdUntilMs, releaseUntilMs) <= nowMs) this.#steered.delete(region);
    }
    const { members } = this.#parts;
    for (const nodeId of this.#draws.keys()) {
      if (members.all.length > 0 && !members.has(nodeId)) this.#draws.delete(nodeId);
    }
  }

  #steer(command: CommandView, { index }: EntryPoint): void {
    const body = command.bodyInto(new SteerExpiryCommandView()).toPlain();
    const { action, region, forMs, detail } = checked(body);
    const nowMs = command.timeMs;
    this.#forget(nowMs);
    if (!this.#steered.has(region) && this.#steered.size >= EXPIRY_REGIONS_MAX) {
      throw full("regions that are held or released", EXPIRY_REGIONS_MAX);
    }
    const { audit } = this.#parts;
    const of = region === ALL_REGIONS ? "all regions" : `region ${region}`;
    if (action === EXPIRY_ACTIONS.hold) {
      if (region === ALL_REGIONS) this.#holdsAll(forMs > 0);
      this.#set(region, { holdUntilMs: forMs === 0 ? 0 : nowMs + forMs, releaseUntilMs: 0 });
      const how = forMs === 0 ? "hold ended" : `held for ${Math.ceil(forMs / 1_000)} s`;
      audit.record(command, "holdExpiry", of, `${how}, for ${detail}`);
      return;
    }
    // The later decision counts: what is released is not held.
    if (region === ALL_REGIONS) this.#steered.clear();
    this.#set(region, { holdUntilMs: 0, releaseUntilMs: nowMs + EXPIRY_RELEASE_MS });
    this.releases = index;
    audit.record(command, "releaseStale", of, detail);
  }

  /** Ends earlier decisions about single regions that contradict one about all of them. */
  #holdsAll(isHeld: boolean): void {
    for (const [region, { releaseUntilMs }] of this.#steered) {
      if (!isHeld || releaseUntilMs > 0) this.#steered.delete(region);
    }
  }

  #set(region: string, steered: SteeredRegion): void {
    if (steered.holdUntilMs === 0 && steered.releaseUntilMs === 0) this.#steered.delete(region);
    else this.#steered.set(region, Object.freeze(steered));
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    yield encodeExpiryRecord(from, {
      nextPermit: this.#nextPermit,
      term: this.#term,
      ledFromMs: this.#ledFromMs,
      releases: this.releases,
      budgets: ordered(this.#budgets).map(([region, { milliPermits, atMs }]) => ({
        ...{ region, milliPermits, atMs },
      })),
      draws: ordered(this.#draws).map(([nodeId, { draw, grants }]) => ({
        ...{ nodeId, draw, grants: [...grants] },
      })),
      steered: ordered(this.#steered).map(([region, steered]) => ({ region, ...steered })),
    });
  }

  load(command: CommandView): void {
    if (command.kind !== EXPIRY_KINDS.record) throw invalid("An image holds a record of expiry");
    const record = command.bodyInto(new ExpiryRecordView()).toPlain();
    this.#nextPermit = record.nextPermit;
    this.#term = record.term;
    this.#ledFromMs = record.ledFromMs;
    this.releases = record.releases;
    for (const { region, milliPermits, atMs } of record.budgets) {
      this.#budgets.set(region, new ExpiryBudget(atMs, milliPermits));
    }
    for (const { nodeId, draw, grants } of record.draws) this.#draws.set(nodeId, { draw, grants });
    for (const { region, ...steered } of record.steered) this.#set(region, steered);
  }

  loaded(): void {}
}

/** Returns a map's entries in the order of their keys. */
function ordered<Key extends string | number, Value>(map: Map<Key, Value>): [Key, Value][] {
  return [...map].sort(([left], [right]) => left < right ? -1 : left > right ? 1 : 0);
}

function checked(body: SteerExpiryCommand): SteerExpiryCommand {
  const { action, region, forMs, detail } = body;
  if (action !== EXPIRY_ACTIONS.hold && action !== EXPIRY_ACTIONS.release) {
    throw invalid(`Action must be hold or release: found ${action}`);
  }
  if (forMs > EXPIRY_HOLD_MS_MAX) {
    throw invalid(`A hold must last at most ${EXPIRY_HOLD_MS_MAX} ms: found ${forMs}`);
  }
  if (new TextEncoder().encode(region).length > REGION_BYTES_MAX) {
    throw invalid(`Region must have at most ${REGION_BYTES_MAX} bytes`);
  }
  if (detail.length > DEPARTURE_DETAIL_MAX) {
    throw invalid(`Detail must have at most ${DEPARTURE_DETAIL_MAX} characters`);
  }
  return body;
}
