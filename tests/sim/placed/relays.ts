/**
 * Relays of another system, and the fronts through which they register: each front is production's SDK on
 * a machine of its own. It keeps one relay alive, at times falls silent until the relay has ended, places
 * agents at it that others hold, and reads where agents are.
 */
import { type ErrorCode, toRegistryError } from "../../../src/base/errors.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { connectCaller } from "../../../src/client/client.ts";
import type { Client, Incarnation, PlacementEntry } from "../../../src/client/mod.ts";
import { Machine, type Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import { clientPortOf } from "./node_program.ts";
import type { PlacedPlan } from "./plan.ts";
import { type SimWire, WIRE_HOST } from "./wire.ts";

/** Addresses of fronts on the wire begin here. */
const FRONT_ADDRESS_MIN = 300;
/** Lease of relays, ms: the shortest that there is. */
export const RELAY_TTL_MS = 5_000;
/** The shortest lease of agents, ms; that of each placement is another one, by which reads name it. */
export const AGENT_TTL_MS = 6_000;
const AGENTS = 4;
const BEAT_MS = 1_200;
/** Mean time between two calls of a front beside its heartbeats, ms. */
const PLAY_MS = 150;
/** How long a relay lives between two silences, and how long it is silent, ms. */
const LIVELY_MS = [3_000, 8_000] as const;
const SILENT_MS = [6_000, 9_000] as const;
const TIMEOUT_MS = 2_000;

/** The kinds of calls. */
export type RelayCallKind =
  | "register"
  | "heartbeat"
  | "place"
  | "beat"
  | "placement"
  | "agents"
  | "agents_of"
  | "relays";

/** A placement as a read shows it. */
export interface ShownPlacement {
  readonly agent: string;
  readonly relay: string;
  readonly relayIncarnation: Incarnation;
  /** Its lease, which tells which call placed it. */
  readonly value: number;
}

/** A call of a front. */
export interface RelayCall {
  readonly front: number;
  readonly kind: RelayCallKind;
  /** "" if it is about all of them. */
  readonly relay: string;
  readonly agent: string;
  /** Of a placement: a number that no other one has. */
  readonly value: number;
  readonly calledAt: number;
  readonly calledMs: number;
}

/** A call that has ended. */
export interface RelayAnswered extends RelayCall {
  readonly code: ErrorCode | "ok";
  readonly message: string;
  readonly answeredAt: number;
  readonly answeredMs: number;
  /** Of a registration: whether it began an incarnation, and which one lives. */
  readonly created: boolean;
  readonly incarnation: Incarnation | undefined;
  readonly shown: readonly ShownPlacement[];
  readonly relays: readonly { readonly relay: string; readonly incarnation: Incarnation }[];
}

type Seen = Partial<Pick<RelayAnswered, "created" | "incarnation" | "shown" | "relays">>;

/** Returns the description of a call for messages. */
export function relayCallName(call: RelayCall | RelayAnswered): string {
  const { front, kind, agent, relay, calledMs } = call;
  const end = "code" in call ? `${call.code} at ${call.answeredMs.toFixed(1)} ms` : "under way";
  const about = [agent, relay].filter((one) => one !== "").join(" at ");
  return `${kind} ${about} by front ${front} (called at ${calledMs.toFixed(1)} ms, ${end})`;
}

/** The cluster as fronts use it. */
export interface RelayFrontsHost {
  readonly plan: PlacedPlan;
  readonly world: SimWorld;
  readonly wire: SimWire;
  relayCalled(call: RelayCall): void;
  relayAnswered(answer: RelayAnswered): void;
}

/** The fronts of a run. */
export class RelayFronts {
  readonly #fronts: readonly Front[];
  #lastPlace = 0;
  #lastValue = AGENT_TTL_MS;

  constructor(host: RelayFrontsHost) {
    const entropy = new SeededEntropy(host.plan.seed ^ 0x7e1a5);
    const relays = Array.from({ length: host.plan.relays }, (_, number) => `relay ${number}`);
    const shared = {
      relays,
      agents: Array.from({ length: AGENTS }, (_, number) => `agent ${number}`),
      nextPlace: () => ++this.#lastPlace,
      nextValue: () => ++this.#lastValue,
    };
    this.#fronts = relays.map((_, number) => new Front(host, shared, number, entropy.uint32()));
  }

  start(): void {
    for (const front of this.#fronts) front.start();
  }

  /** Lets all fronts end their calls and make no more. */
  stop(): void {
    for (const front of this.#fronts) front.isStopped = true;
  }

  /** Whether all have ended their calls. */
  get isIdle(): boolean {
    return this.#fronts.every(({ isIdle }) => isIdle);
  }
}

/** State that fronts share. */
interface SharedFronts {
  readonly relays: readonly string[];
  readonly agents: readonly string[];
  nextPlace(): number;
  nextValue(): number;
}

/** A front with its relay. */
class Front {
  isStopped = false;
  readonly #host: RelayFrontsHost;
  readonly #shared: SharedFronts;
  readonly #number: number;
  readonly #machine: Machine;
  readonly #entropy: SeededEntropy;
  /** The agents that it believes to hold. */
  readonly #held = new Set<string>();
  #silentFromMs = 0;
  #silentUntilMs = 0;
  #loops = 0;

  constructor(host: RelayFrontsHost, shared: SharedFronts, number: number, seed: number) {
    this.#host = host;
    this.#shared = shared;
    this.#number = number;
    this.#entropy = new SeededEntropy(seed);
    this.#machine = new Machine(host.world, {
      id: FRONT_ADDRESS_MIN + number,
      clock: { rate: 1, wallRate: 1, wallOffsetMs: 600_000 * (number - 1) },
      seed: this.#entropy.uint32(),
      onKilled: () => {},
    });
  }

  get isIdle(): boolean {
    return this.#loops === 0;
  }

  get #relay(): string {
    return this.#shared.relays[this.#number]!;
  }

  get #isSilent(): boolean {
    const { nowMs } = this.#host.world;
    if (nowMs >= this.#silentUntilMs) {
      this.#silentFromMs = nowMs + this.#between(LIVELY_MS);
      this.#silentUntilMs = this.#silentFromMs + this.#between(SILENT_MS);
    }
    return nowMs >= this.#silentFromMs;
  }

  start(): void {
    const { plan, wire, world } = this.#host;
    const process = this.#machine.start();
    this.#machine.openPromises = 1;
    const run = async () => {
      const client = await connectCaller({
        endpoints: plan.machines.map(({ address }) => ({
          host: WIRE_HOST,
          port: clientPortOf(address),
        })),
        dialer: wire.dialer(this.#machine, process),
        trust: { kind: "pins", sha256: [] },
        world: process,
        options: { lazy: true, timeoutMs: TIMEOUT_MS },
      });
      await Promise.all([
        this.#loop(process, () => BEAT_MS, () => this.#beat(client)),
        this.#loop(process, () => PLAY_MS * 2 * this.#unit(), () => this.#play(client)),
      ]);
    };
    process.enter(() => void run().catch((error) => world.fail(error)));
  }

  async #loop(process: Process, pauseMs: () => number, act: () => Promise<void>): Promise<void> {
    this.#loops++;
    while (!this.isStopped) {
      await act();
      await new Promise<void>((resolve) => void process.after(pauseMs(), resolve));
    }
    this.#loops--;
  }

  /** Keeps the relay alive, and its agents. */
  async #beat({ relays }: Client): Promise<void> {
    if (this.#isSilent) return;
    const relay = this.#relay;
    const code = await this.#make("heartbeat", { relay }, async () => {
      await relays.heartbeat(relay);
      return {};
    });
    if (code === "not_found") {
      this.#held.clear();
      await this.#make("register", { relay }, async () => {
        const input = { relayId: relay, address: "192.0.2.1", grpcPort: 1, ttlMs: RELAY_TTL_MS };
        const { created, incarnation } = await relays.register(input);
        return { created, incarnation };
      });
    }
    await Promise.all([...this.#held].map(async (agent) => {
      const beat = await this.#make("beat", { relay, agent }, async () => {
        await relays.heartbeatAgent(agent, relay);
        return {};
      });
      if (beat === "not_found") this.#held.delete(agent);
    }));
  }

  /** Takes an agent over, or reads where agents are. */
  async #play({ relays }: Client): Promise<void> {
    const agent = this.#of(this.#shared.agents);
    const relay = this.#of(this.#shared.relays);
    const dice = this.#unit();
    if (dice < 0.25 && !this.#isSilent) {
      const value = this.#shared.nextValue();
      const own = this.#relay;
      const code = await this.#make("place", { agent, relay: own, value }, async () => {
        await relays.place({ agentId: agent, relayId: own, ttlMs: value });
        return {};
      });
      if (code === "ok") this.#held.add(agent);
      return;
    }
    if (dice < 0.75) {
      await this.#make("placement", { agent }, async () => (
        { shown: [shownBy(await relays.placement(agent))] }
      ));
    } else if (dice < 0.85) {
      await this.#make("agents", {}, async () => (
        { shown: (await relays.agents()).items.map(shownBy) }
      ));
    } else if (dice < 0.95) {
      await this.#make("agents_of", { relay }, async () => (
        { shown: (await relays.agentsOf(relay)).items.map(shownBy) }
      ));
    } else {
      await this.#make("relays", {}, async () => ({
        relays: (await relays.list()).items.map(({ relayId, incarnation }) => (
          { relay: relayId, incarnation }
        )),
      }));
    }
  }

  async #make(
    kind: RelayCallKind,
    { relay = "", agent = "", value = 0 }: Partial<Pick<RelayCall, "relay" | "agent" | "value">>,
    run: () => Promise<Seen>,
  ): Promise<ErrorCode | "ok"> {
    const { world } = this.#host;
    const calledAt = this.#shared.nextPlace();
    const call = {
      ...{ front: this.#number, kind, relay, agent, value, calledAt, calledMs: world.nowMs },
    };
    this.#host.relayCalled(call);
    let seen: Seen & { readonly code: ErrorCode | "ok"; readonly message: string };
    try {
      seen = { ...await run(), code: "ok", message: "" };
    } catch (cause) {
      const { code, message } = toRegistryError(cause);
      seen = { code, message };
    }
    this.#host.relayAnswered({
      ...call,
      ...{ created: false, incarnation: undefined, shown: [], relays: [] },
      ...seen,
      answeredAt: this.#shared.nextPlace(),
      answeredMs: world.nowMs,
    });
    return seen.code;
  }

  #between([min, max]: readonly [number, number]): number {
    return min + (max - min) * this.#unit();
  }

  #unit(): number {
    return this.#entropy.unit();
  }

  #of<T>(items: readonly T[]): T {
    return items[Math.floor(this.#unit() * items.length)]!;
  }
}

function shownBy(
  { agentId, relayId, relayIncarnation, ttlMs }: PlacementEntry,
): ShownPlacement {
  return { agent: agentId, relay: relayId, relayIncarnation, value: ttlMs };
}
