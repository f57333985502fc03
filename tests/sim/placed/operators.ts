/**
 * Operators of a cluster that let nodes depart and stay, and pause moves, whatever happens meanwhile: at
 * machines that believe to lead group 0, which may be several, and with orders that are late or come twice.
 */
import { DEPARTURE_GOALS } from "../../../schemas/gen/wire.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { CommandHeader } from "../../../src/record/command.ts";
import {
  DEPARTURES_APPLY_VERSION,
  encodeEndDeparture,
  encodePutDeparture,
  encodeRemoveDeparted,
} from "../../../src/system/departures/departure_codec.ts";
import { encodePauseMoves } from "../../../src/system/moves/move_codec.ts";
import { PAUSED_MOVES_APPLY_VERSION } from "../../../src/system/versions/features.ts";
import type { SystemReply } from "../../../src/system/system_store.ts";
import { Finding } from "../history.ts";
import type { Trace } from "../trace.ts";
import type { SimWorld } from "../world.ts";
import type { PlacedMachine } from "./machine.ts";
import type { PlacedPlan } from "./plan.ts";

/** Machines that stay for good, at least: a cluster of three may only drain. */
const STAYING_MIN = 3;
const PROPOSAL_MS = 1_000;
const BY = "an operator";
/** Time between looks whether moves go on again, at the end, ms. */
const RESUME_MS = 500;

/** A departure that is over, or has another goal by now. */
interface Past {
  readonly nodeId: number;
  readonly revision: number;
}

/** The cluster as its operators use it. */
export interface OperatorsHost {
  readonly plan: PlacedPlan;
  readonly world: SimWorld;
  readonly trace: Trace;
  readonly machines: readonly PlacedMachine[];
  readonly nowMs: number;
}

/** The operators of a run. */
export class Operators {
  readonly #cluster: OperatorsHost;
  readonly #entropy: SeededEntropy;
  readonly #past: Past[] = [];
  /** Draws the pauses, apart, as seeds were known before there were any. */
  readonly #pauses: SeededEntropy;
  #isOver = false;

  constructor(cluster: OperatorsHost) {
    this.#cluster = cluster;
    this.#entropy = new SeededEntropy(cluster.plan.seed ^ 0x09e7a);
    this.#pauses = new SeededEntropy(cluster.plan.seed ^ 0x9a05e);
  }

  start(): void {
    this.#later();
    this.#pauseLater();
  }

  /** Lets moves go on, and gives no more orders; what was begun goes on. */
  stop(): void {
    this.#isOver = true;
    if (this.#cluster.plan.pausesMs !== undefined) this.#resume();
  }

  #pauseLater(): void {
    const { plan: { pausesMs }, world } = this.#cluster;
    if (this.#isOver || pausesMs === undefined) return;
    world.after(1 + this.#pauses.unit() * 2 * pausesMs, () => {
      if (this.#isOver) return;
      this.#pause(this.#pauses.unit() < 0.6);
      this.#pauseLater();
    });
  }

  /** Ends the pause at whichever machine leads, until it has ended there. */
  #resume(): void {
    if (this.#leader()?.groups?.system.store.state.moves.arePaused) this.#pause(false);
    this.#cluster.world.after(RESUME_MS, () => this.#resume());
  }

  #pause(arePaused: boolean): void {
    const leader = this.#leader();
    const { versions } = leader?.groups?.system.store.state ?? {};
    if (leader === undefined || versions!.applyVersion < PAUSED_MOVES_APPLY_VERSION) return;
    const what = arePaused ? "pauses moves as node" : "resumes moves as node";
    const encode = (from: CommandHeader) => encodePauseMoves(from, { arePaused, detail: BY });
    this.#propose(leader, what, leader.nodeId, encode);
  }

  /** The first machine that believes to lead group 0. */
  #leader(): PlacedMachine | undefined {
    return this.#cluster.machines.find(({ groups }) => groups?.system.group.isLeading);
  }

  #later(): void {
    const { plan: { reshapesMs }, world } = this.#cluster;
    if (this.#isOver || reshapesMs === undefined) return;
    world.after(1 + this.#entropy.unit() * 2 * reshapesMs, () => {
      if (this.#isOver) return;
      this.#act();
      this.#later();
    });
  }

  #act(): void {
    const { machines } = this.#cluster;
    const leaders = machines.filter(({ groups }) => groups?.system.group.isLeading);
    const leader = this.#of(leaders);
    const state = leader?.groups?.system.store.state;
    // Whoever has not joined yet may ask a machine that departs.
    const isComplete = machines.every(({ nodeId }) => nodeId !== 0) &&
      (state?.versions.applyVersion ?? 0) >= DEPARTURES_APPLY_VERSION;
    if (leader === undefined || state === undefined || !isComplete) return;
    const departure = this.#of(state.departures.all);
    const dice = this.#entropy.unit();
    if (this.#past.length > 0 && dice < 0.15) return this.#repeatPast(leader);
    if (departure !== undefined && dice < 0.5) {
      const { nodeId, revision } = departure;
      this.#past.push({ nodeId, revision });
      const end = { nodeId, revision, detail: BY };
      return this.#propose(
        leader,
        "lets node stay",
        nodeId,
        (from) => encodeEndDeparture(from, end),
      );
    }
    const member = this.#of(state.members.all);
    if (member !== undefined) this.#depart(leader, member.nodeId);
  }

  #depart(leader: PlacedMachine, nodeId: number): void {
    const { state } = leader.groups!.system.store;
    const before = state.departures.of(nodeId);
    if (before !== undefined) this.#past.push({ nodeId, revision: before.revision });
    const staying =
      state.members.all.filter((member) =>
        member.nodeId !== nodeId && !state.departures.has(member.nodeId)
      ).length;
    const isRemoved = staying >= STAYING_MIN && this.#entropy.unit() < 0.5;
    const put = {
      ...{ nodeId, goal: DEPARTURE_GOALS[isRemoved ? "removed" : "drained"], successor: 0 },
      ...{ replacedRevision: before?.revision ?? 0, isAutomatic: false, detail: BY },
      isFewerAllowed: staying > 1 && this.#entropy.unit() < 0.5,
    };
    const what = isRemoved ? "removes node" : "drains node";
    this.#propose(leader, what, nodeId, (from) => encodePutDeparture(from, put));
  }

  /** Takes a step of a departure that is over, as a planner that was paused would. */
  #repeatPast(leader: PlacedMachine): void {
    const past = this.#of(this.#past)!;
    // Only a departure that this leader knows to be over is certain to be over at the entry.
    const known = leader.groups!.system.store.state.departures.of(past.nodeId)?.revision;
    if (known === past.revision) return;
    const encode = (from: CommandHeader) => encodeRemoveDeparted(from, past);
    this.#propose(leader, "takes a late step for node", past.nodeId, encode, (reply) => {
      if (reply.code !== "ok") return;
      const what = `Node ${past.nodeId} was removed by a departure that was over`;
      this.#cluster.world.fail(new Finding("departed_nodes", what));
    });
  }

  #propose(
    leader: PlacedMachine,
    what: string,
    nodeId: number,
    encode: (from: CommandHeader) => Uint8Array,
    heard: (reply: SystemReply) => void = () => {},
  ): void {
    this.#cluster.trace.note(this.#cluster.nowMs, leader.address, what, nodeId);
    leader.enter(({ groups, process }) => {
      const { group } = groups!.system;
      const unixS = Math.floor(process.unixMs() / 1_000);
      const command = encode({ timeMs: Math.floor(group.timeMs()), unixS, writer: 0 });
      void group.propose(command, PROPOSAL_MS).then((proposed) => {
        if (proposed.ok) heard(proposed.outcome);
      });
    });
  }

  #of<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#entropy.unit() * items.length)];
  }
}
