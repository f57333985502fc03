/**
 * The departures of nodes: which nodes are to hold nothing any more, and which of them are to be no
 * members then. The planner gives a departing node no replicas and takes those that it has; everything
 * else follows from that.
 *
 * Each step names the revision of the departure, so that one that was decided before an operator changed
 * his mind changes nothing, and a member is removed only if its departure still says so and no placement
 * names a replica on it. A departure whose node is no member any more ends when the node is banned.
 */
import { commandCodec, type CommandView } from "../../../schemas/gen/command.ts";
import {
  departureRecordCodec,
  DepartureRecordView,
  EndDepartureCommandView,
  HandedOverCommandView,
  type PutDepartureCommand,
  PutDepartureCommandView,
  RemoveDepartedCommandView,
} from "../../../schemas/gen/system.ts";
import {
  DEPARTURE_GOAL_NAMES,
  DEPARTURE_GOALS,
  type DepartureGoal,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import { DEPARTURE_DETAIL_MAX } from "../../base/limits.ts";
import type { CommandHeader } from "../../record/command.ts";
import { REPLICAS } from "../../ring/placement.ts";
import type { FoundingState } from "../founding/founding_state.ts";
import type { AuditState } from "../identities/audit_state.ts";
import type { MemberState } from "../members/member_state.ts";
import type { PlacementState } from "../placement/placement_state.ts";
import { type Effect, type EntryPoint, invalid, moved, type SubMachine } from "../sub_machine.ts";
import { INHERITED_PLACES_APPLY_VERSION } from "../versions/features.ts";
import type { VersionState } from "../versions/version_state.ts";
import { DEPARTURE_KINDS, DEPARTURES_APPLY_VERSION } from "./departure_codec.ts";

/** The departure of a node. */
export interface Departure {
  readonly nodeId: number;
  readonly goal: DepartureGoal;
  /** The node that is to take its place; 0: whichever. */
  readonly successor: number;
  readonly isFewerAllowed: boolean;
  /** Whether the registry began it by itself, because the node is silent. */
  readonly isAutomatic: boolean;
  /** Who asked for it. */
  readonly detail: string;
  /** Index of the entry that put it: the condition of what follows. */
  readonly revision: number;
  /** Group time of its beginning, ms. */
  readonly beganMs: number;
  /** Replicas of partitions that the node held then. */
  readonly heldAtFirst: number;
  /** Whether the node has handed over everything that it led. */
  readonly hasHandedOver: boolean;
}

/** The parts of group 0's state that departures depend on. */
export interface DepartureParts {
  readonly founding: FoundingState;
  readonly members: MemberState;
  readonly placement: PlacementState;
  readonly versions: VersionState;
  readonly audit: AuditState;
}

/** The departures. */
export class DepartureState implements SubMachine {
  readonly section = 12;
  readonly kinds = Object.values(DEPARTURE_KINDS);
  readonly #parts: DepartureParts;
  readonly #departures = new Map<number, Departure>();

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  /** The departures, ordered by node id. */
  get all(): Departure[] {
    return [...this.#departures.values()].sort((left, right) => left.nodeId - right.nodeId);
  }

  /** Returns the departure of a node; undefined if it is not departing. */
  of(nodeId: number): Departure | undefined {
    return this.#departures.get(nodeId);
  }

  /** Reports whether the node is to hold and lead nothing. */
  has(nodeId: number): boolean {
    return this.#departures.has(nodeId);
  }

  /** Returns the number of replicas that placements name on a node. */
  heldBy(nodeId: number): number {
    const { founding, members, placement } = this.#parts;
    return placement.countOn(
      nodeId,
      members.first === nodeId,
      founding.genesis?.partitionCount ?? 0,
    );
  }

  get isEmpty(): boolean {
    return this.#departures.size === 0;
  }

  apply(command: CommandView, { index }: EntryPoint): Effect | void {
    if (this.#parts.versions.applyVersion < DEPARTURES_APPLY_VERSION) {
      throw invalid(`Apply version must be at least ${DEPARTURES_APPLY_VERSION} for departures`);
    }
    switch (command.kind) {
      case DEPARTURE_KINDS.put:
        return this.#put(command, command.bodyInto(new PutDepartureCommandView()).toPlain(), index);
      case DEPARTURE_KINDS.end: {
        const { nodeId, revision, detail } = command.bodyInto(new EndDepartureCommandView())
          .toPlain();
        return this.#end(command, this.#expect(nodeId, revision), detail);
      }
      case DEPARTURE_KINDS.handedOver: {
        const { nodeId, revision } = command.bodyInto(new HandedOverCommandView());
        const departure = this.#expect(nodeId, revision);
        this.#departures.set(nodeId, Object.freeze({ ...departure, hasHandedOver: true }));
        return;
      }
      case DEPARTURE_KINDS.remove: {
        const { nodeId, revision } = command.bodyInto(new RemoveDepartedCommandView());
        return this.#remove(command, this.#expect(nodeId, revision));
      }
      default:
        throw invalid("A record of a departure occurs only in images");
    }
  }

  #put(command: CommandView, put: PutDepartureCommand, index: number): Effect | void {
    const { nodeId, successor, isFewerAllowed, isAutomatic, detail } = put;
    const goal = DEPARTURE_GOAL_NAMES[put.goal];
    if (goal === undefined) throw invalid(`Goal of a departure must be known: found ${put.goal}`);
    if (detail.length > DEPARTURE_DETAIL_MAX) {
      throw invalid(`Detail must have at most ${DEPARTURE_DETAIL_MAX} characters`);
    }
    const { members, audit } = this.#parts;
    if (!members.has(nodeId)) {
      throw new RegistryError("not_found", `Node ${nodeId} is not a member`);
    }
    const before = this.#departures.get(nodeId);
    const revision = before?.revision ?? 0;
    if (revision !== put.replacedRevision) {
      throw moved(
        `Departure of node ${nodeId} must have revision ${put.replacedRevision}: it has ${revision}`,
      );
    }
    const standby = this.#standbyOf(nodeId, successor);
    this.#checkRemaining(nodeId, { isFewerAllowed, successor });
    if (standby !== undefined) this.#end(command, standby, detail);
    if (before !== undefined && before.successor !== successor) this.#disinherit(before);
    // Otherwise its own share would move away from it, besides what it takes over.
    const inherits = goal === "removed" && this.#knowsStandbys && this.heldBy(successor) === 0;
    if (successor !== 0 && inherits) members.setRingId(successor, members.ringIdOf(nodeId));
    const { beganMs, heldAtFirst, hasHandedOver } = before ?? {
      beganMs: command.timeMs,
      heldAtFirst: this.heldBy(nodeId),
      hasHandedOver: false,
    };
    const settings = { nodeId, goal, successor, isFewerAllowed, isAutomatic, detail };
    this.#departures.set(
      nodeId,
      Object.freeze({ ...settings, revision: index, beganMs, heldAtFirst, hasHandedOver }),
    );
    audit.record(command, "depart", `node ${nodeId}`, `until ${goal}, for ${detail}`);
  }

  get #knowsStandbys(): boolean {
    return this.#parts.versions.applyVersion >= INHERITED_PLACES_APPLY_VERSION;
  }

  /** Checks who is to take a node's place. Returns its departure if it was drained until now. */
  #standbyOf(nodeId: number, successor: number): Departure | undefined {
    if (successor === 0) return undefined;
    const departure = this.#departures.get(successor);
    const isFree = departure === undefined ||
      departure.goal === "drained" && this.#knowsStandbys;
    if (successor === nodeId || !this.#parts.members.has(successor) || !isFree) {
      throw invalid(`Successor must be another member, which stays: found node ${successor}`);
    }
    return departure;
  }

  /** Keeps operators from leaving partitions with fewer replicas unawares. */
  #checkRemaining(
    nodeId: number,
    { isFewerAllowed, successor }: { readonly isFewerAllowed: boolean; readonly successor: number },
  ): void {
    const staying =
      this.#parts.members.all.filter((member) =>
        member.nodeId !== nodeId && (member.nodeId === successor || !this.has(member.nodeId))
      ).length;
    if (staying === 0) throw invalid(`Node ${nodeId} must not be the last one that stays: it is`);
    if (staying >= REPLICAS || isFewerAllowed) return;
    throw invalid(
      `At least ${REPLICAS} nodes must stay, or partitions have fewer replicas: without node ` +
        `${nodeId} there are ${staying}. Add a node first, or allow fewer replicas`,
    );
  }

  #end(command: CommandView, departure: Departure, detail: string): void {
    const { members, audit } = this.#parts;
    const { nodeId } = departure;
    this.#departures.delete(nodeId);
    this.#disinherit(departure);
    if (members.has(nodeId)) audit.record(command, "stay", `node ${nodeId}`, detail);
  }

  /** Gives a successor its own points on the ring again, unless the node that it replaces was removed. */
  #disinherit({ nodeId, successor }: Departure): void {
    const { members } = this.#parts;
    // Two nodes with the same points would get the same replicas.
    const isShared = members.has(nodeId) &&
      members.ringIdOf(successor) === members.ringIdOf(nodeId);
    if (successor !== 0 && isShared) members.setRingId(successor, successor);
  }

  #remove(command: CommandView, { nodeId, goal, detail }: Departure): Effect {
    if (goal !== "removed") {
      throw moved(`Node ${nodeId} must be departing to be removed: it is only drained`);
    }
    const held = this.heldBy(nodeId);
    if (held > 0) throw invalid(`Node ${nodeId} must hold no replica any more: it holds ${held}`);
    return this.#parts.members.remove(command, nodeId, detail);
  }

  #expect(nodeId: number, revision: number): Departure {
    const departure = this.#departures.get(nodeId);
    if (departure === undefined) {
      throw new RegistryError("not_found", `Node ${nodeId} is not departing`);
    }
    if (departure.revision === revision) return departure;
    throw moved(
      `Departure of node ${nodeId} must have revision ${revision}: it has ${departure.revision}`,
    );
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    const header = { ...from, kind: DEPARTURE_KINDS.record };
    for (const { revision, beganMs, heldAtFirst, hasHandedOver, ...settings } of this.all) {
      const put = { ...settings, goal: DEPARTURE_GOALS[settings.goal], replacedRevision: 0 };
      const record = { put, revision, beganMs, heldAtFirst, hasHandedOver };
      yield commandCodec.encode(header, departureRecordCodec, record);
    }
  }

  load(command: CommandView): void {
    if (command.kind !== DEPARTURE_KINDS.record) throw invalid("An image holds departure records");
    const { put, ...rest } = command.bodyInto(new DepartureRecordView()).toPlain();
    if (put === undefined) throw invalid("A record of a departure must have its settings");
    const { replacedRevision: _, goal: number, ...settings } = put;
    const goal = DEPARTURE_GOAL_NAMES[number];
    if (goal === undefined) throw invalid(`Goal of a departure must be known: found ${number}`);
    this.#departures.set(put.nodeId, Object.freeze({ ...settings, goal, ...rest }));
  }

  loaded(): void {}
}
