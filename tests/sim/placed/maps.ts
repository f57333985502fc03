/**
 * Programs of the Maps protocol, each with a credential and a front of its own, which is production's SDK on
 * a machine of its own. They register agents and gateways under names that the others want, too, each from
 * another region, fall silent at times until their records have ended, and read who holds a name.
 */
import { type ErrorCode, toRegistryError } from "../../../src/base/errors.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { connectCaller } from "../../../src/client/client.ts";
import { mapsIdOf } from "../../../src/client/maps_ids.ts";
import type { Client } from "../../../src/client/mod.ts";
import { Machine, type Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import { clientPortOf } from "./node_program.ts";
import type { PlacedPlan } from "./plan.ts";
import { type SimWire, WIRE_HOST } from "./wire.ts";

/** Addresses of these fronts on the wire begin here. */
const FRONT_ADDRESS_MIN = 350;
/** Lease of all records, ms: the shortest that there is. */
export const MAPS_TTL_MS = 5_000;
const NAMES = 3;
const PORT = 4_000;
const BEAT_MS = 1_200;
/** Mean time between two calls of a program beside its heartbeats, ms. */
const PLAY_MS = 200;
/** How long a program registers between two silences, and how long it is silent, ms. */
const LIVELY_MS = [3_000, 8_000] as const;
const SILENT_MS = [6_000, 9_000] as const;
const TIMEOUT_MS = 2_000;

/** The kinds of calls. */
export type MapsCallKind = "register_agent" | "register_gateway" | "agent" | "gateway";

/** A call of a program. */
export interface MapsCall {
  readonly program: number;
  readonly kind: MapsCallKind;
  /** The domain of an agent, or the address of a gateway. */
  readonly name: string;
  /** By whose credential it is registered, or was when its id was made. */
  readonly credential: string;
  readonly calledAt: number;
  readonly calledMs: number;
}

/** A record as a read shows it. */
export interface ShownName {
  readonly credential: string;
  readonly id: string;
}

/** A call that has ended. */
export interface MapsAnswered extends MapsCall {
  readonly code: ErrorCode | "ok";
  readonly message: string;
  readonly answeredMs: number;
  readonly shown: ShownName | undefined;
}

/** Returns the description of a call for messages. */
export function mapsCallName(call: MapsCall | MapsAnswered): string {
  const { calledMs, credential, kind, name, program } = call;
  const end = "code" in call ? `${call.code} at ${call.answeredMs.toFixed(1)} ms` : "under way";
  return `${kind} ${name} of ${credential} by program ${program} ` +
    `(called at ${calledMs.toFixed(1)} ms, ${end})`;
}

/** The cluster as programs use it. */
export interface MapsProgramsHost {
  readonly plan: PlacedPlan;
  readonly world: SimWorld;
  readonly wire: SimWire;
  mapsCalled(call: MapsCall): void;
  mapsAnswered(answer: MapsAnswered): void;
}

/** The programs of a run. */
export class MapsPrograms {
  readonly #programs: readonly Program[];

  constructor(host: MapsProgramsHost) {
    const entropy = new SeededEntropy(host.plan.seed ^ 0x3a95);
    const credentials = Array.from(
      { length: host.plan.mapsPrograms },
      (_, number) => `credential ${number}`,
    );
    let place = 0;
    const nextPlace = () => ++place;
    this.#programs = credentials.map((_, number) =>
      new Program(host, { credentials, nextPlace }, number, entropy.uint32())
    );
  }

  start(): void {
    for (const program of this.#programs) program.start();
  }

  /** Lets all programs end their calls and make no more. */
  stop(): void {
    for (const program of this.#programs) program.isStopped = true;
  }

  /** Whether all have ended their calls. */
  get isIdle(): boolean {
    return this.#programs.every(({ isIdle }) => isIdle);
  }
}

/** State that programs share. */
interface SharedPrograms {
  readonly credentials: readonly string[];
  nextPlace(): number;
}

/** A program with its front. */
class Program {
  isStopped = false;
  readonly #host: MapsProgramsHost;
  readonly #shared: SharedPrograms;
  readonly #number: number;
  readonly #machine: Machine;
  readonly #entropy: SeededEntropy;
  /** Registrations that it repeats, by kind and name. */
  readonly #held = new Map<string, () => Promise<void>>();
  #silentFromMs = 0;
  #silentUntilMs = 0;
  #loops = 0;

  constructor(host: MapsProgramsHost, shared: SharedPrograms, number: number, seed: number) {
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

  get #credential(): string {
    return this.#shared.credentials[this.#number]!;
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
        this.#loop(process, () => BEAT_MS, () => this.#beat()),
        this.#loop(process, () => PLAY_MS * 2 * this.#entropy.unit(), () => this.#play(client)),
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

  /** Registers again what it holds, as programs of the protocol do instead of renewing. */
  async #beat(): Promise<void> {
    if (this.#isSilent) return;
    await Promise.all([...this.#held.values()].map((register) => register()));
  }

  /** Registers a name, or reads who holds one. */
  async #play({ maps }: Client): Promise<void> {
    const dice = this.#entropy.unit();
    const number = Math.floor(NAMES * this.#entropy.unit());
    const domain = `maps${number}.example`;
    const address = `192.0.2.${number + 1}`;
    const credential = this.#of(this.#shared.credentials);
    if (dice < 0.5) {
      await this.#make("agent", { name: domain, credential }, async () => {
        const { agentId, credential } = await maps.getAgent(domain);
        return { id: agentId, credential };
      });
    } else if (dice < 0.75) {
      await this.#make("gateway", { name: address, credential }, async () => {
        const found = await maps.getGateway(mapsIdOf(credential, address));
        return { id: found.gatewayId, credential: found.credential };
      });
    } else if (!this.#isSilent) {
      await (dice < 0.9 ? this.#agent(maps, domain) : this.#gateway(maps, address));
    }
  }

  #agent(maps: Client["maps"], domain: string): Promise<void> {
    return this.#hold("register_agent", domain, async () => {
      const credential = this.#credential;
      await maps.registerAgent({
        ...{ domain, credential, ttlMs: MAPS_TTL_MS, region: this.#region },
        agentId: mapsIdOf(credential, domain),
        gatewayId: mapsIdOf(credential, "192.0.2.9"),
      });
    });
  }

  #gateway(maps: Client["maps"], address: string): Promise<void> {
    return this.#hold("register_gateway", address, async () => {
      const credential = this.#credential;
      await maps.registerGateway({
        ...{ address, port: PORT, credential, ttlMs: MAPS_TTL_MS },
        ...{ wssPort: 0, cpu: 1, memory: 1, storage: 1, bandwidth: 1 },
        // An endpoint is claimed for each region.
        region: "region-0",
        gatewayId: mapsIdOf(credential, address),
      });
    });
  }

  /** Each program registers agents from a region of its own. */
  get #region(): string {
    return `region-${this.#number}`;
  }

  /** Registers a name now and with each heartbeat, until another program holds it. */
  async #hold(kind: MapsCallKind, name: string, run: () => Promise<void>): Promise<void> {
    const register = async () => {
      const code = await this.#make(kind, { name, credential: this.#credential }, async () => {
        await run();
        return undefined;
      });
      if (code === "ok") this.#held.set(`${kind} ${name}`, register);
      if (code === "permission_denied") this.#held.delete(`${kind} ${name}`);
    };
    await register();
  }

  async #make(
    kind: MapsCallKind,
    { credential, name }: Pick<MapsCall, "credential" | "name">,
    run: () => Promise<ShownName | undefined>,
  ): Promise<ErrorCode | "ok"> {
    const { world } = this.#host;
    const calledAt = this.#shared.nextPlace();
    const call = { program: this.#number, kind, name, credential, calledAt, calledMs: world.nowMs };
    this.#host.mapsCalled(call);
    let seen: Pick<MapsAnswered, "code" | "message" | "shown">;
    try {
      seen = { shown: await run(), code: "ok", message: "" };
    } catch (cause) {
      const { code, message } = toRegistryError(cause);
      seen = { shown: undefined, code, message };
    }
    this.#host.mapsAnswered({ ...call, ...seen, answeredMs: world.nowMs });
    return seen.code;
  }

  #between([min, max]: readonly [number, number]): number {
    return min + (max - min) * this.#entropy.unit();
  }

  #of<T>(items: readonly T[]): T {
    return items[Math.floor(this.#entropy.unit() * items.length)]!;
  }
}
