/**
 * The program of a client: it draws one call after another, makes them with production's SDK, and reports
 * each as it begins and as it ends.
 */
import { ERROR_TABLE, type ErrorCode, toRegistryError } from "../../../src/base/errors.ts";
import type { SeededEntropy } from "../../../src/base/prng.ts";
import type { Client } from "../../../src/client/mod.ts";
import { LIST_PAGES_MAX, type Names, type Outcome, SdkCalls } from "./sdk_calls.ts";
import type { SdkAnswer, SdkCall, SdkCallKind } from "./sdk_history.ts";

/** The part of the writes that clients make to a record that is another's. */
const FOREIGN = 0.15;
/** The part of the puts that name a domain, and of these that name one that others name too. */
const NAMES_DOMAIN = 0.7;
/** Ages that reads accept, ms. */
const STALENESS_MS: readonly number[] = [20, 50, 100, 300, 1_000, 4_000];

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

/** The kinds of reads that may accept some age. */
const BOUNDED: ReadonlySet<SdkCallKind> = new Set<SdkCallKind>([
  "get",
  "resolve",
  "resolve_many",
  "list",
  "gateways",
]);

/** State that the programs of all clients share. */
export interface ProgramWorld extends Names {
  /** The clock by which calls are recorded. */
  readonly world: { readonly nowMs: number };
  readonly clientCount: number;
  /** UUIDs of the agents that clients keep alive, by the client's number. */
  readonly kept: readonly string[];
  nextPlace(): number;
  /** Returns a number that no other write has. */
  nextValue(): number;
  called(call: SdkCall): void;
  answered(answer: SdkAnswer): void;
}

/** Options of a program. */
export interface ProgramOptions {
  /** Number of the client, from 0. */
  readonly number: number;
  /** The part of its reads that accept some age. */
  readonly bounded: number;
  readonly timeoutMs: number;
  /** Whether agents have the label by which watches tell them apart. */
  readonly hasTiers: boolean;
}

/** A call to be made. */
export interface AskedCall {
  readonly kind: SdkCallKind;
  /** The record's UUID or the domain; ignored if the call is about all of them. */
  readonly about: string;
  /** Of a read: the age that it accepts, ms; 0: linearizable. */
  readonly maxStalenessMs: number;
}

/** Draws and makes the calls of one client. */
export class SdkProgram {
  /** The calls under way. */
  readonly open = new Set<SdkCall>();
  readonly #world: ProgramWorld;
  readonly #options: ProgramOptions;
  readonly #entropy: SeededEntropy;
  readonly #calls: SdkCalls;

  constructor(world: ProgramWorld, options: ProgramOptions, entropy: SeededEntropy) {
    this.#world = world;
    this.#options = options;
    this.#entropy = entropy;
    this.#calls = new SdkCalls(world, entropy, options.hasTiers);
  }

  /** Draws a call. @param isCalm whether reads are all linearizable, as others cost the nodes more. */
  draw(isCalm: boolean): AskedCall {
    const kind = this.#draw();
    const about = kind === "resolve" ? this.#of(this.#world.domains) : this.#key(kind);
    const isBounded = BOUNDED.has(kind) && !isCalm && this.#unit() < this.#options.bounded;
    const maxStalenessMs = isBounded ? this.#of(STALENESS_MS) : 0;
    return { kind, about, maxStalenessMs };
  }

  /** Draws the record of a call: its own records are those whose number it shares, by remainder. */
  #key(kind: SdkCallKind): string {
    const { agents, clientCount, gateways, kept } = this.#world;
    if (kind === "get_kept") return this.#of(kept);
    const isAny = kind === "get" || kind === "take_over" || this.#unit() < FOREIGN;
    const all = kind === "put_gateway" || kind === "remove_gateway" ? gateways : agents;
    const own = all.filter((_, at) => at % clientCount === this.#options.number % clientCount);
    return this.#of(isAny || own.length === 0 ? all : own);
  }

  /** Makes a call, and reports it. */
  async make(client: Client, asked: AskedCall): Promise<SdkAnswer> {
    const { about, kind, maxStalenessMs } = asked;
    const { world } = this.#world;
    const isWrite = WRITES.has(kind);
    const isPut = isWrite && kind !== "remove" && kind !== "remove_gateway";
    // What a takeover must know is read before, by a call of its own.
    if (kind === "take_over" && !this.#calls.knows(about)) {
      await this.make(client, { kind: "get", about, maxStalenessMs });
    }
    const call: SdkCall = {
      client: this.#options.number,
      kind,
      key: isWrite || kind === "get_kept" ? about : "",
      value: isPut ? this.#world.nextValue() : 0,
      domain: isPut && kind !== "put_gateway" ? this.#domainOf(about) : "",
      maxStalenessMs,
      calledAt: this.#world.nextPlace(),
      calledMs: world.nowMs,
      timeoutMs: this.#options.timeoutMs * (kind === "list" ? LIST_PAGES_MAX : isWrite ? 2 : 1),
    };
    const retriesBefore = client.status.retries;
    this.open.add(call);
    this.#world.called(call);
    let outcome: Outcome & { readonly code?: ErrorCode; readonly message?: string };
    try {
      outcome = await this.#calls.run(client, call, about);
    } catch (cause) {
      const { code, message } = toRegistryError(cause);
      outcome = { code, message };
    }
    const retries = client.status.retries - retriesBefore;
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
      receipts: outcome.receipts ?? [],
    };
    this.open.delete(call);
    this.#world.answered(answer);
    return answer;
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
