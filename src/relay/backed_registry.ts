/**
 * The rules of a relay registry, in one place for all backends: the arguments of calls, their deadlines,
 * their errors, and the order and bounds of lists.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import {
  RELAY_ADDRESS_BYTES_MAX,
  RELAY_CALL_MS_DEFAULT,
  RELAY_CALLS_MAX,
  RELAY_ENTRY_BYTES,
  RELAY_ID_BYTES_MAX,
  RELAY_LIST_BYTES_MAX,
  RELAY_LIST_ENTRIES_MAX,
  RELAY_LISTS_MAX,
  RELAY_RETRY_MS,
} from "../base/limits.ts";
import { compareUtf8 } from "../base/utf8_order.ts";
import type { Scheduler } from "../base/world.ts";
import type { BackendCall, RelayBackend } from "./relay_backend.ts";
import type {
  AgentPlacement,
  Relay,
  RelayAddress,
  RelayAgent,
  RelayCallOptions,
  RelayRegistry,
} from "./relay_registry.ts";

const utf8 = new TextEncoder();

/** Counts calls that the backend has not finished, those whose callers were answered included. */
interface Room {
  count: number;
  readonly countMax: number;
}

/** A relay registry over a backend, which it owns. */
export class BackedRelayRegistry implements RelayRegistry {
  readonly #backend: RelayBackend;
  readonly #scheduler: Scheduler;
  /** Ends the calls that have not been answered. */
  readonly #open = new Set<AbortController>();
  readonly #calls: Room = { count: 0, countMax: RELAY_CALLS_MAX };
  readonly #lists: Room = { count: 0, countMax: RELAY_LISTS_MAX };
  #closed: Promise<void> | undefined;

  constructor(backend: RelayBackend, { scheduler }: { readonly scheduler: Scheduler }) {
    this.#backend = backend;
    this.#scheduler = scheduler;
  }

  async registerRelay(relay: RelayAddress | undefined, options?: RelayCallOptions): Promise<void> {
    if (relay === undefined) throw missing("relay", "Relay");
    const { relayId, address, grpcPort } = relay;
    checkText("relay_id", "RelayId", relayId, RELAY_ID_BYTES_MAX);
    checkText("address", "Address", address, RELAY_ADDRESS_BYTES_MAX);
    if ((grpcPort | 0) !== grpcPort) {
      throw refused("grpc_port", `GrpcPort must be a 32-bit integer: current value is ${grpcPort}`);
    }
    await this.#call(
      options,
      (call) => this.#backend.putRelay({ relayId, address, grpcPort }, call),
    );
  }

  async heartbeatRelay(relayId: string, options?: RelayCallOptions): Promise<void> {
    checkRelayId(relayId);
    const isLive = await this.#call(options, (call) => this.#backend.renewRelay(relayId, call));
    if (!isLive) throw notRegistered("relay");
  }

  async listRelays(options?: RelayCallOptions): Promise<readonly Relay[]> {
    const relays = await this.#call(
      options,
      (call) => this.#backend.relays(RELAY_LIST_ENTRIES_MAX + 1, call),
      this.#lists,
    );
    checkSize("relays", relays, ({ relayId, address }) => [relayId, address]);
    return relays.sort((left, right) => compareUtf8(left.relayId, right.relayId));
  }

  async registerAgent(
    agentId: string | undefined,
    relayId: string,
    options?: RelayCallOptions,
  ): Promise<void> {
    checkRelayId(relayId);
    if (agentId === undefined) throw missing("agent", "Agent");
    checkAgentId(agentId);
    const isLive = await this.#call(
      options,
      (call) => this.#backend.placeAgent(agentId, relayId, call),
    );
    if (!isLive) throw notRegistered("relay");
  }

  async heartbeatAgent(
    agentId: string,
    relayId: string | undefined,
    options?: RelayCallOptions,
  ): Promise<void> {
    checkAgentId(agentId);
    if (relayId !== undefined) checkRelayId(relayId);
    const isLive = await this.#call(
      options,
      (call) => this.#backend.renewAgent(agentId, relayId, call),
    );
    if (!isLive) throw notRegistered("agent");
  }

  async listAgents(options?: RelayCallOptions): Promise<readonly RelayAgent[]> {
    const placements = await this.#agents(undefined, options);
    checkSize("agents", placements, ({ agentId }) => [agentId]);
    return placements.map(({ agentId, lastUpdatedUnixMs }) => (
      { agentId, lastHeartbeatUnixMs: lastUpdatedUnixMs }
    ));
  }

  async agentsOf(relayId: string, options?: RelayCallOptions): Promise<readonly AgentPlacement[]> {
    checkRelayId(relayId);
    const placements = await this.#agents(relayId, options);
    checkSize("agents", placements, ({ agentId }) => [agentId, relayId]);
    return placements;
  }

  async placement(agentId: string, options?: RelayCallOptions): Promise<AgentPlacement> {
    checkAgentId(agentId);
    const placement = await this.#call(options, (call) => this.#backend.placement(agentId, call));
    if (placement === undefined) throw notRegistered("agent");
    return placement;
  }

  close(): Promise<void> {
    if (this.#closed === undefined) {
      for (const call of this.#open) call.abort(shutDown());
      this.#closed = this.#backend.close();
    }
    return this.#closed;
  }

  async #agents(
    relayId: string | undefined,
    options: RelayCallOptions | undefined,
  ): Promise<AgentPlacement[]> {
    const placements = await this.#call(
      options,
      (call) => this.#backend.agents(relayId, RELAY_LIST_ENTRIES_MAX + 1, call),
      this.#lists,
    );
    return placements.sort((left, right) => compareUtf8(left.agentId, right.agentId));
  }

  /** Runs a step of the backend, and answers by the deadline even if the backend does not. */
  async #call<T>(
    { timeoutMs = RELAY_CALL_MS_DEFAULT, signal }: RelayCallOptions = {},
    step: (call: BackendCall) => Promise<T>,
    room = this.#calls,
  ): Promise<T> {
    if (!(timeoutMs > 0 && timeoutMs < Infinity)) {
      throw refused("timeoutMs", `timeoutMs must be positive: current value is ${timeoutMs}`);
    }
    if (signal?.aborted) throw canceled();
    if (this.#closed !== undefined) throw shutDown();
    if (room.count === room.countMax) {
      const what = room === this.#lists ? "lists" : "calls";
      const message =
        `${this.#backend.name} may have ${room.countMax} ${what} in flight: it has as many`;
      throw new RegistryError("overloaded", message, { retryAfterMs: RELAY_RETRY_MS });
    }
    const ended = new AbortController();
    const timer = this.#scheduler.after(timeoutMs, () => {
      const message = `${this.#backend.name} did not answer within ${timeoutMs} ms`;
      ended.abort(new RegistryError("deadline_exceeded", message));
    });
    const cancel = () => ended.abort(canceled());
    signal?.addEventListener("abort", cancel);
    this.#open.add(ended);
    try {
      const call = { signal: ended.signal, timeoutMs };
      return await raced(ended.signal, counted(room, () => step(call)));
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", cancel);
      this.#open.delete(ended);
    }
  }
}

/** Runs a step, and counts it until it has ended. */
async function counted<T>(room: Room, step: () => Promise<T>): Promise<T> {
  room.count++;
  try {
    return await step();
  } finally {
    room.count--;
  }
}

/** Returns the outcome of `work`, or the reason of `signal` if it is aborted before. */
function raced<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, (error) => reject(signal.aborted ? signal.reason : toRegistryError(error)));
  });
}

function shutDown(): RegistryError {
  return new RegistryError("shutting_down", "The relay registry is closed");
}

function checkRelayId(relayId: string): void {
  checkText("relay_id", "RelayId", relayId, RELAY_ID_BYTES_MAX);
}

function checkAgentId(agentId: string): void {
  checkText("agent_id", "AgentId", agentId, RELAY_ID_BYTES_MAX);
}

/** @param name the name of the field in messages that programs of others know. */
function checkText(field: string, name: string, text: string, bytesMax: number): void {
  if (text === undefined || text === "") throw missing(field, name);
  if (text.length <= bytesMax && !text.isWellFormed()) {
    throw refused(field, `${name} must be valid Unicode: it has a lone surrogate`);
  }
  // A UTF-16 unit has at most three bytes.
  if (3 * text.length <= bytesMax) return;
  const bytes = text.length > bytesMax ? text.length : utf8.encode(text).length;
  if (bytes > bytesMax) {
    throw refused(field, `${name} may have ${bytesMax} bytes: it has at least ${bytes}`);
  }
}

/** Refuses a list that does not fit an answer. */
function checkSize<T>(
  what: string,
  entries: readonly T[],
  textsOf: (entry: T) => readonly string[],
): void {
  if (entries.length > RELAY_LIST_ENTRIES_MAX) {
    throw new RegistryError(
      "too_large",
      `Cannot list ${what}, as a list may have ${RELAY_LIST_ENTRIES_MAX}: there are more`,
    );
  }
  let bytes = 0;
  for (const entry of entries) {
    bytes += RELAY_ENTRY_BYTES;
    for (const text of textsOf(entry)) bytes += utf8.encode(text).length;
  }
  if (bytes > RELAY_LIST_BYTES_MAX) {
    throw new RegistryError(
      "too_large",
      `Cannot list ${what}, as a list may have ${RELAY_LIST_BYTES_MAX} bytes: it has ${bytes}`,
    );
  }
}

function missing(field: string, name: string): RegistryError {
  return refused(field, `${name} is required`);
}

function refused(field: string, message: string): RegistryError {
  return new RegistryError("invalid_argument", message, { field });
}

function canceled(): RegistryError {
  return new RegistryError("canceled", "The caller gave the call up");
}

function notRegistered(what: "relay" | "agent"): RegistryError {
  return new RegistryError("not_found", `${what} not registered: not found`);
}
