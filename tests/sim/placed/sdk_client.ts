/**
 * A client of a simulated cluster: production's SDK on a machine of its own, and a program that makes one
 * call after another with it. Each call is reported as it begins and as it ends.
 */
import { ERROR_TABLE, type ErrorCode, toRegistryError } from "../../../src/base/errors.ts";
import { TTL_MS_MAX } from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { connectCaller } from "../../../src/client/client.ts";
import type { Client, Incarnation, ResolvedAgent } from "../../../src/client/mod.ts";
import type { AgentInfo } from "../../../src/record/agent.ts";
import type { GatewayInfo } from "../../../src/record/gateway.ts";
import { Machine, type MachineClock, type Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import { KeptLease, type LeasePromise } from "./kept_lease.ts";
import { clientPortOf } from "./node_program.ts";
import type { SdkAnswer, SdkCall, SdkCallKind, SeenDomain, SeenRecord } from "./sdk_history.ts";
import { type SimWire, WIRE_HOST } from "./wire.ts";

/** Addresses of clients on the wire begin here. */
export const CLIENT_ADDRESS_MIN = 100;
const REGION = "eu";
/** The part of the writes that clients make to a record that is another's. */
const FOREIGN = 0.15;
/** The part of the puts that name a domain, and of these that name one that others name too. */
const NAMES_DOMAIN = 0.7;
/** The probability that a client which was superseded begins anew. */
const RECONNECTS = 0.5;
/** The part of the agents that name a gateway, which need not be registered. */
const NAMES_GATEWAY = 0.5;
const GATEWAYS_MAX = 256;
const PAGE_SIZE = 3;
const PAGES_MAX = 40;
/** The address of a gateway. */
const WHERE = { address: "192.0.2.10", port: 4_000 };

/** The kinds of calls, with their weights. */
const WEIGHTS: readonly (readonly [SdkCallKind, number])[] = [
  ["get", 24],
  ["get_kept", 8],
  ["put", 30],
  ["take_over", 6],
  ["remove", 8],
  ["resolve", 18],
  ["resolve_many", 4],
  ["list", 7],
  ["put_gateway", 5],
  ["remove_gateway", 2],
  ["gateways", 5],
];

/** The kinds that change records. */
export const WRITES: ReadonlySet<SdkCallKind> = new Set<SdkCallKind>([
  "put",
  "take_over",
  "remove",
  "put_gateway",
  "remove_gateway",
]);

/** State that clients share. */
export interface SdkWorld {
  readonly world: SimWorld;
  readonly wire: SimWire;
  /** UUIDs of all agents. */
  readonly agents: readonly string[];
  readonly domains: readonly string[];
  /** UUIDs of all gateways. */
  readonly gateways: readonly string[];
  /** Addresses of all machines that may be nodes. */
  readonly nodes: readonly number[];
  readonly clientCount: number;
  /** UUIDs of the agents that clients keep alive, by the client's number. */
  readonly kept: readonly string[];
  readonly promised: (promise: LeasePromise) => void;
  nextPlace(): number;
  /** Returns a number that no other write has. */
  nextValue(): number;
  called(call: SdkCall): void;
  answered(answer: SdkAnswer): void;
}

/** Options of a client. */
export interface SdkClientOptions {
  /** From 0. */
  readonly number: number;
  readonly clock: MachineClock;
  readonly seed: number;
  /** Mean time between an answer and the next call, ms. */
  readonly thinkMs: number;
  readonly timeoutMs: number;
  /** The lease of the agent that it keeps alive, ms. */
  readonly keptTtlMs: number;
  /** The number of addresses of nodes that it is given. */
  readonly endpoints: number;
}

/** The outcome of a call that succeeded. */
interface Outcome {
  readonly end?: "ok" | "not_found";
  readonly records?: readonly SeenRecord[];
  readonly domains?: readonly SeenDomain[];
}

/** A client. */
export class SdkClient {
  readonly machine: Machine;
  readonly number: number;
  readonly kept: KeptLease;
  client: Client | undefined;
  /** The calls under way. */
  readonly open = new Set<SdkCall>();
  readonly #world: SdkWorld;
  readonly #options: SdkClientOptions;
  readonly #entropy: SeededEntropy;
  /** Incarnations that it knows, by UUID. */
  readonly #known = new Map<string, Incarnation>();
  #process: Process | undefined;
  #isStopped = false;
  /** Whether it is between two calls, and will make none. */
  isIdle = false;

  constructor(world: SdkWorld, options: SdkClientOptions) {
    this.#world = world;
    this.#options = options;
    this.number = options.number;
    this.#entropy = new SeededEntropy(options.seed);
    this.machine = new Machine(world.world, {
      id: CLIENT_ADDRESS_MIN + options.number,
      clock: options.clock,
      seed: this.#entropy.uint32(),
      onKilled: () => {},
    });
    this.kept = new KeptLease({
      id: world.kept[options.number]!,
      number: options.number,
      ttlMs: options.keptTtlMs,
      world: world.world,
      promised: world.promised,
    });
  }

  /** Starts the program. */
  start(): void {
    const process = this.machine.start();
    this.machine.openPromises = 1;
    this.#process = process;
    process.enter(() => {
      this.#connect(process).then(() => this.#work(process))
        .catch((error) => this.#world.world.fail(error));
    });
  }

  /** Begins with a new client, as a program does that was restarted: it owns no record. */
  async #connect(process: Process): Promise<void> {
    const { wire, nodes } = this.#world;
    const { endpoints, timeoutMs } = this.#options;
    const given = [...nodes].sort(() => this.#unit() - 0.5).slice(0, endpoints);
    await this.client?.close();
    this.client = await connectCaller({
      endpoints: given.map((address) => ({ host: WIRE_HOST, port: clientPortOf(address) })),
      dialer: wire.dialer(this.machine, process),
      trust: { kind: "pins", sha256: [] },
      world: process,
      options: { lazy: true, timeoutMs },
    });
    this.kept.begin(this.client);
  }

  /** Lets it make no further call of its own. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Makes a call of that kind, about all records or domains if it takes many. Once it is idle. */
  ask(kind: SdkCallKind, about: string, ended: (answer: SdkAnswer) => void): void {
    const process = this.#process!;
    process.enter(() => {
      this.#make(kind, about).then(ended).catch((error) => this.#world.world.fail(error));
    });
  }

  async #work(process: Process): Promise<void> {
    while (!this.#isStopped) {
      await new Promise<void>((resolve) =>
        void process.after(-this.#options.thinkMs * Math.log(1 - this.#unit()), resolve)
      );
      if (this.#isStopped) break;
      const kind = this.#draw();
      const about = kind === "resolve" ? this.#of(this.#world.domains) : this.#key(kind);
      const { code } = await this.#make(kind, about);
      // A process that lost a record cannot register it again.
      if (code === "superseded" && this.#unit() < RECONNECTS) await this.#connect(process);
    }
    this.isIdle = true;
  }

  /** Draws the record of a call: its own records are those whose number it shares, by remainder. */
  #key(kind: SdkCallKind): string {
    const { agents, clientCount, gateways, kept } = this.#world;
    if (kind === "get_kept") return this.#of(kept);
    const isAny = kind === "get" || kind === "take_over" || this.#unit() < FOREIGN;
    const all = kind === "put_gateway" || kind === "remove_gateway" ? gateways : agents;
    const own = all.filter((_, at) => at % clientCount === this.number % clientCount);
    return this.#of(isAny || own.length === 0 ? all : own);
  }

  async #make(kind: SdkCallKind, about: string): Promise<SdkAnswer> {
    const { world } = this.#world;
    const isWrite = WRITES.has(kind);
    const isPut = isWrite && kind !== "remove" && kind !== "remove_gateway";
    // What a takeover must know is read before, by a call of its own.
    if (kind === "take_over" && !this.#known.has(about)) await this.#make("get", about);
    const call: SdkCall = {
      client: this.number,
      kind,
      key: isWrite || kind === "get_kept" ? about : "",
      value: isPut ? this.#world.nextValue() : 0,
      domain: isPut && kind !== "put_gateway" ? this.#domainOf(about) : "",
      calledAt: this.#world.nextPlace(),
      calledMs: world.nowMs,
      timeoutMs: this.#options.timeoutMs * (kind === "list" ? PAGES_MAX : isWrite ? 2 : 1),
    };
    const retriesBefore = this.client!.status.retries;
    this.open.add(call);
    this.#world.called(call);
    let outcome: Outcome & { readonly code?: ErrorCode; readonly message?: string };
    try {
      outcome = await this.#run(call, about);
    } catch (cause) {
      const { code, message } = toRegistryError(cause);
      outcome = { code, message };
    }
    const retries = this.client!.status.retries - retriesBefore;
    const end = outcome.code === undefined
      ? outcome.end ?? "ok"
      : endOf(outcome.code, isWrite, retries > 0);
    const answer: SdkAnswer = {
      ...call,
      end,
      code: outcome.code ?? "",
      message: outcome.message ?? "",
      retries,
      answeredAt: end === "unknown" ? Infinity : this.#world.nextPlace(),
      answeredMs: world.nowMs,
      records: outcome.records ?? [],
      domains: outcome.domains ?? [],
    };
    this.open.delete(call);
    this.#world.answered(answer);
    return answer;
  }

  async #run({ kind, value, domain }: SdkCall, about: string): Promise<Outcome> {
    const client = this.client!;
    switch (kind) {
      case "get":
      case "get_kept":
        return await this.#get(about);
      case "put":
      case "take_over": {
        const expected = kind === "put" ? undefined : this.#known.get(about);
        // The incarnation is used once: if it was the wrong one, the next takeover reads again.
        this.#known.delete(about);
        const { incarnation } = await client.registerAgent({
          id: about,
          region: REGION,
          ttlMs: TTL_MS_MAX,
          labels: { v: String(value) },
          ...(domain === "" ? {} : { domain }),
          ...(this.#unit() < NAMES_GATEWAY ? { gatewayId: this.#of(this.#world.gateways) } : {}),
        }, expected === undefined ? {} : { expected });
        this.#known.set(about, incarnation);
        return {};
      }
      case "remove": {
        const incarnation = this.#known.get(about);
        this.#known.delete(about);
        await client.deregisterAgent(about, incarnation === undefined ? {} : { incarnation });
        return {};
      }
      case "resolve":
        return await this.#resolve(about);
      case "resolve_many":
        return await this.#resolveMany();
      case "list":
        return await this.#list();
      case "put_gateway": {
        const gateway = { id: about, region: REGION, ttlMs: TTL_MS_MAX, ...WHERE };
        await client.registerGateway({ ...gateway, labels: { v: String(value) } });
        return {};
      }
      case "remove_gateway":
        await client.deregisterGateway(about);
        return {};
      case "gateways":
        return await this.#gateways();
    }
  }

  async #get(id: string): Promise<Outcome> {
    try {
      const { agent } = await this.client!.getAgent(id);
      this.#known.set(id, agent.incarnation);
      return { records: [seen(agent)] };
    } catch (error) {
      if (toRegistryError(error).code !== "not_found") throw error;
      this.#known.delete(id);
      return { end: "not_found", records: [absent(id)] };
    }
  }

  async #resolve(domain: string): Promise<Outcome> {
    try {
      const found = await this.client!.resolveAgent(domain);
      const { agent } = found;
      return {
        records: [seen(agent), ...gatewayOf(found)],
        domains: [{ domain, holder: agent.id, named: agent.domain }],
      };
    } catch (error) {
      if (toRegistryError(error).code !== "not_found") throw error;
      return { end: "not_found", domains: [vacant(domain)] };
    }
  }

  async #resolveMany(): Promise<Outcome> {
    const { domains: asked } = this.#world;
    const records: SeenRecord[] = [];
    const domains: SeenDomain[] = [];
    for (const { domain, found, error } of await this.client!.resolveAgents(asked)) {
      if (found !== undefined) {
        records.push(seen(found.agent), ...gatewayOf(found));
        domains.push({ domain, holder: found.agent.id, named: found.agent.domain });
      } else if (error.code === "not_found") domains.push(vacant(domain));
    }
    return { records, domains };
  }

  async #gateways(): Promise<Outcome> {
    const { items } = await this.client!.resolveGateways(REGION, { limit: GATEWAYS_MAX });
    const records = items.map(({ gateway }) => seen(gateway));
    return { records: withAbsent(records, this.#world.gateways) };
  }

  /** Reads all pages: whatever they do not show is absent. */
  async #list(): Promise<Outcome> {
    const records: SeenRecord[] = [];
    let cursor: Uint8Array | undefined;
    for (let pages = 0; pages === 0 || cursor !== undefined; pages++) {
      if (pages === PAGES_MAX) throw new Error(`A list of ${records.length} records never ends`);
      const page = await this.client!.listAgents(REGION, {
        limit: PAGE_SIZE,
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { agent } of page.items) records.push(seen(agent));
      cursor = page.nextCursor;
    }
    return { records: withAbsent(records, this.#world.agents) };
  }

  /** Draws the domain that a write of a record claims: mostly its own, else one of others. */
  #domainOf(key: string): string {
    const { agents, domains } = this.#world;
    if (this.#unit() >= NAMES_DOMAIN) return "";
    return this.#unit() < 0.8 ? domains[agents.indexOf(key) % domains.length]! : this.#of(domains);
  }

  #draw(): SdkCallKind {
    const sum = WEIGHTS.reduce((total, [, weight]) => total + weight, 0);
    let left = this.#unit() * sum;
    for (const [kind, weight] of WEIGHTS) if ((left -= weight) < 0) return kind;
    return "get";
  }

  #unit(): number {
    return this.#entropy.unit();
  }

  #of<T>(items: readonly T[]): T {
    return items[Math.floor(this.#unit() * items.length)]!;
  }
}

/** A refusal after a repeated attempt may be of the repetition only. */
function endOf(code: ErrorCode, isWrite: boolean, isRetried: boolean): "refused" | "unknown" {
  if (!isWrite) return "unknown";
  return ERROR_TABLE[code].unapplied && !isRetried ? "refused" : "unknown";
}

/** Adds that the other records are absent. */
function withAbsent(records: readonly SeenRecord[], all: readonly string[]): SeenRecord[] {
  const keys = new Set(records.map(({ key }) => key));
  return [...records, ...all.filter((key) => !keys.has(key)).map(absent)];
}

/** Returns what an answer shows of the gateway that the agent names. */
function gatewayOf({ gateway, gatewayId }: ResolvedAgent): SeenRecord[] {
  if (gatewayId === undefined) return [];
  return [gateway === undefined ? absent(gatewayId) : seen(gateway)];
}

function seen({ id, labels }: AgentInfo | GatewayInfo): SeenRecord {
  return { key: id, value: Number(labels["v"]) };
}

function absent(key: string): SeenRecord {
  return { key, value: undefined };
}

function vacant(domain: string): SeenDomain {
  return { domain, holder: undefined, named: "" };
}
