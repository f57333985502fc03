/**
 * A client of a simulated cluster, outside its nodes: one operation after another on records that it
 * shares with others, each tried again where that is safe, until it ends or its time is up.
 *
 * What it was told goes into the history as it was told, with the interval in which it happened. A
 * registration and a deregistration keep their number through all attempts, so that a repeated one
 * does nothing twice.
 */
import type { SeededEntropy } from "../../src/base/prng.ts";
import { ERROR_TABLE } from "../../src/base/errors.ts";
import { NO_POSITION, type Position } from "../../src/store/reply.ts";
import type { Operation, OperationEnd, OperationKind } from "./history.ts";
import type { Reply, Request } from "./service.ts";
import type { SimWorld } from "./world.ts";

/** A record that clients work on. */
export interface Key {
  readonly group: number;
  readonly name: string;
  readonly id: Uint8Array;
  readonly ttlMs: number;
  readonly isLongLived: boolean;
}

/** What clients share: the way to the nodes, the numbers of writes, the history. */
export interface ClientWorld {
  readonly world: SimWorld;
  /** Sends a request over the network; `answer` is called once for each answer that arrives. */
  send(client: number, node: number, request: Request, answer: (reply: Reply) => void): void;
  /** A number that no other write has. */
  nextValue(): number;
  /** The next place in the order of calls and answers. */
  nextPlace(): number;
  /** Where the replicas of a group are, as clients are told. */
  nodesOf(group: number): readonly number[];
  ended(operation: Operation): void;
  /** A renewal is sent. */
  tried(key: string, incarnation: Position): void;
}

/** How a client behaves. */
export interface ClientOptions {
  readonly id: number;
  readonly keys: readonly Key[];
  readonly entropy: SeededEntropy;
  /** Mean time between an answer and the next operation, ms. */
  readonly thinkMs: number;
  /** Renews what it holds by a short lease when that is about to end. */
  readonly isLastMinute: boolean;
  /** Waits twice as long before each further attempt. */
  readonly isPatient: boolean;
}

/** One attempt's time, an operation's, and the mean pause between two attempts, ms. */
const ATTEMPT_MS = 500;
const OPERATION_MS = 1_500;
const RETRY_MS = 40;
/** An operation's time, and the longest pause, of a patient client, ms. */
const PATIENT_OPERATION_MS = 8_000;
const PATIENT_RETRY_MS_MAX = 2_000;
/** How long before its end, and after it at the most, a lease is renewed in the last minute, ms. */
const LAST_MINUTE_MS = 80;
const TOO_LATE_MS = 40;
/** Part of operations that are given up at the first doubt. */
const GIVES_UP = 0.3;
/** Part of operations that are on the client's own key, which it holds most of the time. */
const PREFERS = 0.6;
/** Part of writes to a record of another that name its incarnation, and so take it over. */
const TAKES_OVER = 0.3;
/** What is asked, of so many. */
const KINDS: readonly (readonly [OperationKind, number])[] = [
  ["get", 42],
  ["register", 30],
  ["renew", 16],
  ["take_over", 5],
  ["deregister", 7],
];

/** What the client knows of a record. */
interface Held {
  process: number;
  /** The last it was told; a process holds the record where `isMine`. */
  incarnation: Position;
  isMine: boolean;
}

/** An operation under way. */
interface Running {
  readonly key: Key;
  readonly request: Request;
  readonly calledAt: number;
  readonly calledMs: number;
  readonly isImpatient: boolean;
  attempt: number;
  attemptMs: number;
  /** An attempt may have taken effect, or may yet. */
  isInDoubt: boolean;
}

/** One client. */
export class SimClient {
  readonly #shared: ClientWorld;
  readonly #options: ClientOptions;
  readonly #held = new Map<Key, Held>();
  readonly #leaders = new Map<number, number>();
  #processes = 0;
  #isStopping = false;
  #running: Running | undefined;

  constructor(shared: ClientWorld, options: ClientOptions) {
    this.#shared = shared;
    this.#options = options;
  }

  /** True when it has stopped and nothing of it is under way. */
  get isIdle(): boolean {
    return this.#isStopping && this.#running === undefined;
  }

  /** Begins. */
  start(): void {
    this.#isStopping = false;
    this.#think();
  }

  /** Begins no further operation. */
  stop(): void {
    this.#isStopping = true;
  }

  /** How it can write to a key, by what it knows of it. */
  writeKind(key: Key): "register" | "take_over" {
    const held = this.#held.get(key);
    const isOthers = held !== undefined && !held.isMine && held.incarnation.index !== 0;
    return isOthers ? "take_over" : "register";
  }

  /** Does one operation at once. */
  run(kind: OperationKind, key: Key): void {
    const { nextPlace, world: { nowMs } } = this.#shared;
    this.#running = {
      key,
      request: this.#request(kind, key),
      calledAt: nextPlace(),
      calledMs: nowMs,
      isImpatient: this.#unit() < GIVES_UP,
      attempt: 0,
      attemptMs: nowMs,
      isInDoubt: false,
    };
    this.#attempt(this.#running);
  }

  #unit(): number {
    return this.#options.entropy.unit();
  }

  #think(): void {
    this.#shared.world.after(2 * this.#options.thinkMs * this.#unit(), () => {
      if (this.#isStopping || this.#running !== undefined) return;
      const { id, keys } = this.#options;
      const at = this.#unit() < PREFERS ? id : Math.floor(this.#unit() * keys.length);
      const key = keys[at % keys.length]!;
      this.run(this.#kindFor(key), key);
    });
  }

  /** What to ask of a key, by what is known of it. */
  #kindFor(key: Key): OperationKind {
    let left = this.#unit() * 100;
    const [wanted] = KINDS.find(([, share]) => (left -= share) < 0) ?? KINDS[0]!;
    const held = this.#held.get(key);
    switch (wanted) {
      case "renew":
      case "deregister":
        return held?.isMine === true ? wanted : "register";
      case "take_over":
        return this.writeKind(key) === "take_over" ? wanted : "get";
      case "register":
        return this.#unit() < TAKES_OVER ? this.writeKind(key) : wanted;
      case "get":
        return wanted;
    }
  }

  #request(kind: OperationKind, key: Key): Request {
    let held = this.#held.get(key);
    if (held === undefined) {
      this.#held.set(key, held = { process: 0, incarnation: NO_POSITION, isMine: false });
    }
    // A process that lost a record is refused: each attempt to own it is a new one's.
    if (held.process === 0 || (kind === "take_over" || kind === "register") && !held.isMine) {
      held.process = this.#options.id * 10_000 + ++this.#processes;
    }
    const isWrite = kind !== "get" && kind !== "renew";
    return {
      kind,
      group: key.group,
      id: key.id,
      process: held.process,
      value: isWrite ? this.#shared.nextValue() : 0,
      ttlMs: key.ttlMs,
      incarnation: kind === "register" ? NO_POSITION : held.incarnation,
      timeoutMs: ATTEMPT_MS,
    };
  }

  #attempt(running: Running): void {
    const { world } = this.#shared;
    const attempt = ++running.attempt;
    const isCurrent = () => this.#running === running && running.attempt === attempt;
    running.attemptMs = world.nowMs;
    const { kind, incarnation } = running.request;
    if (kind === "renew") this.#shared.tried(running.key.name, incarnation);
    const node = this.#leaders.get(running.key.group) ?? this.#anyNode(running.key.group);
    this.#shared.send(this.#options.id, node, running.request, (reply) => {
      if (isCurrent()) this.#answered(running, node, reply);
    });
    world.after(ATTEMPT_MS * 1.2, () => {
      if (!isCurrent()) return;
      this.#leaders.delete(running.key.group);
      this.#doubt(running);
    });
  }

  #anyNode(group: number): number {
    const nodes = this.#shared.nodesOf(group);
    return nodes[Math.floor(this.#unit() * nodes.length)]!;
  }

  #answered(running: Running, node: number, reply: Reply): void {
    const { code, leaderHint } = reply;
    const { key: { group } } = running;
    if (code === "ok" || code === "not_found") {
      this.#leaders.set(group, node);
    } else {
      this.#leaders.delete(group);
      if (leaderHint !== 0 && leaderHint !== node) this.#leaders.set(group, leaderHint);
    }
    switch (code) {
      case "ok":
      case "not_found":
      case "superseded":
      case "stale_sequence":
      case "incarnation_mismatch":
        return this.#decided(running, reply);
      case "invalid_argument":
      case "malformed":
      case "too_large":
        throw new Error(`The load sends what the store refuses: ${code}`);
      default:
        if (ERROR_TABLE[code].unapplied) this.#again(running);
        else this.#doubt(running);
    }
  }

  /** It is not known whether the attempt took effect. */
  #doubt(running: Running): void {
    running.isInDoubt = true;
    if (running.isImpatient) this.#end(running, "unknown");
    else this.#again(running);
  }

  #again(running: Running): void {
    const { world } = this.#shared;
    const { isPatient } = this.#options;
    const operationMs = isPatient ? PATIENT_OPERATION_MS : OPERATION_MS;
    if (world.nowMs - running.calledMs > operationMs) {
      return this.#end(running, running.isInDoubt ? "unknown" : "refused", { code: "gave_up" });
    }
    // Answers to earlier attempts are not waited for any more.
    const attempt = ++running.attempt;
    // Each attempt and each pause takes a number.
    const factor = isPatient ? 2 ** (attempt / 2) : 1;
    world.after(Math.min(PATIENT_RETRY_MS_MAX, 2 * RETRY_MS * factor) * this.#unit(), () => {
      if (this.#running === running && running.attempt === attempt) this.#attempt(running);
    });
  }

  #renewInTheEnd(key: Key): void {
    if (!this.#options.isLastMinute || key.isLongLived) return;
    const delayMs = key.ttlMs - LAST_MINUTE_MS + (LAST_MINUTE_MS + TOO_LATE_MS) * this.#unit();
    this.#shared.world.after(delayMs, () => {
      if (this.#isStopping || this.#running !== undefined) return;
      if (this.#held.get(key)?.isMine === true) this.run("renew", key);
    });
  }

  /** The state machine said what is. */
  #decided(running: Running, reply: Reply): void {
    const { kind, process } = running.request;
    const { code, incarnation } = reply;
    const held = this.#held.get(running.key)!;
    const isWrite = kind === "register" || kind === "take_over";
    if (code === "ok") {
      const isSame = held.process === process && sameIncarnation(held, incarnation);
      held.isMine = isWrite || (kind !== "deregister" && held.isMine && isSame);
      held.incarnation = kind === "deregister" ? NO_POSITION : incarnation;
      if (held.isMine && kind !== "get") this.#renewInTheEnd(running.key);
      return this.#end(running, "ok", reply);
    }
    held.isMine = false;
    held.incarnation = code === "not_found" ? NO_POSITION : incarnation;
    if (kind === "get" || kind === "renew") {
      return this.#end(running, code === "not_found" ? "not_found" : "refused", reply);
    }
    // An earlier attempt may have taken effect, and then this is what came after it.
    if (running.isInDoubt) return this.#end(running, "unknown", { code });
    this.#end(running, code === "not_found" ? "not_found" : "refused", reply);
  }

  #end(
    running: Running,
    end: OperationEnd,
    reply: Partial<Omit<Reply, "code">> & { code?: string } = {},
  ): void {
    const { key, request: { kind, incarnation, ttlMs, value } } = running;
    const { nextPlace, world: { nowMs } } = this.#shared;
    const isGrant = kind === "register" || kind === "take_over";
    const answeredAt = nextPlace();
    if (end === "unknown" && kind !== "get") this.#held.delete(key);
    this.#running = undefined;
    this.#shared.ended({
      client: this.#options.id,
      group: key.group,
      key: key.name,
      kind,
      way: reply.way ?? "propose",
      isLongLived: key.isLongLived,
      ttlMs,
      end,
      code: end === "ok" ? "" : reply.code ?? "",
      value: kind === "get" ? reply.value ?? 0 : value,
      incarnation: end === "ok" && kind !== "renew"
        ? reply.incarnation ?? incarnation
        : incarnation,
      index: reply.index ?? 0,
      term: reply.term ?? 0,
      coverLeftMs: reply.coverLeftMs ?? 0,
      calledAt: running.calledAt,
      answeredAt: end === "unknown" ? Infinity : answeredAt,
      calledMs: running.calledMs,
      answeredMs: nowMs,
      // A repeated registration does nothing: the first attempt may have given the lease.
      attemptMs: isGrant ? running.calledMs : running.attemptMs,
      attempts: running.attempt,
    });
    if (!this.#isStopping) this.#think();
  }
}

function sameIncarnation(held: Held, incarnation: Position): boolean {
  return held.incarnation.index === incarnation.index &&
    held.incarnation.generation === incarnation.generation;
}
