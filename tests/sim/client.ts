/**
 * A client of a simulated cluster, outside its nodes: performs one operation after another on
 * records that it shares with other clients, retrying each if that is safe, until it ends or its
 * time is up.
 *
 * Replies are recorded in the history as received, with the interval in which they happened. A
 * registration and a deregistration keep their number through all attempts, so that a repeated one
 * has no second effect.
 */
import type { SeededEntropy } from "../../src/base/prng.ts";
import { ERROR_TABLE } from "../../src/base/errors.ts";
import { NO_POSITION, type Position } from "../../src/base/position.ts";
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

/** Services shared by clients: access to the nodes, the numbers of writes, the history. */
export interface ClientWorld {
  readonly world: SimWorld;
  /**
   * Sends a request over the network; `answer` is called once for each reply that arrives. Returns
   * whether the request is duplicated.
   */
  send(client: number, node: number, request: Request, answer: (reply: Reply) => void): boolean;
  /** Returns a number that no other write has. */
  nextValue(): number;
  /** Returns the next place in the order of calls and replies. */
  nextPlace(): number;
  /** Returns the nodes of a group's replicas, as clients are told. */
  nodesOf(group: number): readonly number[];
  ended(operation: Operation): void;
  /** Records that a renewal is sent. */
  tried(key: string, incarnation: Position): void;
}

/** Options of a client's behaviour. */
export interface ClientOptions {
  readonly id: number;
  readonly keys: readonly Key[];
  readonly entropy: SeededEntropy;
  /** Mean time between a reply and the next operation, ms. */
  readonly thinkMs: number;
  /** Renews a short lease that it holds only just before it ends. */
  readonly isLastMinute: boolean;
  /** Waits twice as long before each further attempt. */
  readonly isPatient: boolean;
}

/** Time for one attempt, time for an operation, and the mean pause between two attempts, ms. */
const ATTEMPT_MS = 500;
const OPERATION_MS = 1_500;
const RETRY_MS = 40;
/** Time for an operation, and the longest pause, of a patient client, ms. */
const PATIENT_OPERATION_MS = 8_000;
const PATIENT_RETRY_MS_MAX = 2_000;
/** Maximum time before and after a lease's end for a last-minute renewal, ms. */
const LAST_MINUTE_MS = 80;
const TOO_LATE_MS = 40;
/** Part of the operations that are given up when their outcome is first in doubt. */
const GIVES_UP = 0.3;
/** Part of the operations on the client's own key, which it holds most of the time. */
const PREFERS = 0.6;
/** Part of the writes to another client's record that name its incarnation, and so take it over. */
const TAKES_OVER = 0.3;
/** The kinds of operation, with their weights. */
const KINDS: readonly (readonly [OperationKind, number])[] = [
  ["get", 42],
  ["register", 30],
  ["renew", 16],
  ["take_over", 5],
  ["deregister", 7],
];

/** The client's knowledge of a record. */
interface Held {
  process: number;
  /** The last known one; a process holds the record if `isMine`. */
  incarnation: Position;
  isMine: boolean;
}

/** An operation in progress. */
interface Running {
  readonly key: Key;
  readonly request: Request;
  readonly calledAt: number;
  readonly calledMs: number;
  readonly isImpatient: boolean;
  attempt: number;
  attemptMs: number;
  /** An attempt may have taken effect, or may still do so. */
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

  /** True when it has stopped and no operation is in progress. */
  get isIdle(): boolean {
    return this.#isStopping && this.#running === undefined;
  }

  /** Starts the client. */
  start(): void {
    this.#isStopping = false;
    this.#think();
  }

  /** Stops the client: it begins no further operation. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Returns the kind of write for a key, by the client's knowledge of it. */
  writeKind(key: Key): "register" | "take_over" {
    const held = this.#held.get(key);
    const isOthers = held !== undefined && !held.isMine && held.incarnation.index !== 0;
    return isOthers ? "take_over" : "register";
  }

  /** Performs one operation immediately. */
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

  /** Chooses an operation on a key, by the client's knowledge of it. */
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
    // A process that lost a record is refused: each attempt to own the record uses a new process.
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
    const isDoubled = this.#shared.send(this.#options.id, node, running.request, (reply) => {
      if (isCurrent()) this.#answered(running, node, reply);
    });
    // One of the copies may take effect after the other was refused, and the refusal answered.
    if (isDoubled) running.isInDoubt = true;
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

  /** Handles an attempt of which it is not known whether it took effect. */
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
    // Replies to earlier attempts are no longer awaited.
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

  /** Handles a decision of the state machine. */
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
    // An earlier attempt may have taken effect, and this reply may be a consequence of it.
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
      // A repeated registration has no effect: the first attempt may have granted the lease.
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
