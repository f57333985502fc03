/**
 * One connection: a session whose first stream carries the handshake, control frames and requests.
 * Calls with large replies share a second stream, and watches a third one; the first of them opens
 * it. A silent server is probed and then given up, because a transport may take 45 s to notice.
 *
 * A connection ends once, for any reason; its owner then gets back every unanswered call.
 */
import type { Hello } from "../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import {
  CLIENT_DRAIN_MS,
  CLIENT_IN_FLIGHT_MAX,
  CLIENT_OUTBOX_BYTES,
  CLIENT_SILENCE_MS,
  CLIENT_WATCHES_BITS,
  REFUSAL_LINGER_MS,
  REQUEST_FRAME_BYTES_MAX,
} from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { RingEpoch, RingMap } from "../ring/ring_map.ts";
import type { ControlMessage, Greeting } from "../wire/control.ts";
import { type Operation, OPERATIONS } from "../wire/operations/mod.ts";
import type { Dialer, Endpoint, Session, Stream, Trust } from "../../transport/transport.ts";
import type { Call } from "./call.ts";
import { probeCall } from "./connection_calls.ts";
import type { Credentials } from "./credentials.ts";
import { ConnectionDelegations } from "./delegation/connection_delegations.ts";
import type { FurtherStreams } from "./further_streams.ts";
import { goodbyeError, goodbyeOf, type Greeted } from "./greeting.ts";
import { type ChannelOptions, RequestChannel, type RequestHeader } from "./request_channel.ts";
import { type SessionProof, SessionRenewal } from "./session_proof.ts";
import type { SessionToken } from "./session_token.ts";
import { WATCH_OPERATIONS, WatchRequests } from "./watch_requests.ts";
import { WriteTurns } from "./write_turns.ts";

/** Callbacks through which a connection reports to its owner. */
export interface ConnectionOwner {
  /** A successful reply arrived and was decoded. */
  answered(call: Call, value: unknown): void;
  /** The call was refused, or its reply could not be decoded. */
  refused(call: Call, error: RegistryError): void;
  /** The call's deadline passed. */
  late(call: Call): void;
  /** A call that gets many replies is now due at that time. */
  due(dueMs: number, nowMs: number): void;
  /** There is room for waiting calls again. */
  room(): void;
  ringMap(map: RingMap): void;
  /** The connection ended; `unanswered` returns to the owner, oldest call first. */
  ended(connection: Connection, error: RegistryError, unanswered: Call[]): void;
}

/** Parameters of a connection. */
export interface ConnectionParameters {
  readonly dialer: Dialer;
  readonly endpoint: Endpoint;
  readonly trust: Trust;
  readonly credentials: Credentials;
  readonly hello: Hello;
  readonly world: World;
  readonly turns: WriteTurns;
  readonly inFlightMax: number;
  /** Time limit from dialing to the reply to Hello, ms. */
  readonly timeoutMs: number;
  /** Cancels the attempt while the connection is being established. */
  readonly signal: AbortSignal;
}

/**
 * Operations whose replies are large: they have a stream of their own, so that the replies to other
 * requests do not wait behind them.
 */
const BULK: ReadonlySet<Operation> = new Set([
  OPERATIONS.listAgentsByRegion,
  OPERATIONS.listGatewaysByRegion,
  OPERATIONS.listBans,
  OPERATIONS.readAudit,
]);

const NO_EPOCH: RingEpoch = { generation: 0, number: 0 };

/** A session on which Hello was answered. */
export class Connection {
  readonly endpoint: Endpoint;
  readonly greeting: Greeting;
  readonly #world: World;
  readonly #turns: WriteTurns;
  readonly #session: Session;
  readonly #further: FurtherStreams;
  readonly #renewal: SessionRenewal;
  readonly #token: SessionToken;
  readonly #inFlightMax: number;
  readonly #frameBytesMax: number;
  readonly #header: RequestHeader;
  readonly #later: readonly ControlMessage[];
  /** The first stream. */
  readonly #main: RequestChannel;
  /** The stream for large replies; opened with the first such call, and kept. */
  #bulk: RequestChannel | undefined;
  /** The stream for watches; opened with the first one, and kept. */
  #watches: WatchRequests | undefined;
  /** The delegations of a front; made for the first one. */
  #delegations: ConnectionDelegations | undefined;
  #owner: ConnectionOwner | undefined;
  #waitingForRoom = false;
  /** True when no more requests may be sent: the server said goodbye, or the connection ended. */
  #closing = false;
  #ended = false;
  #drainTimer: Timer | undefined;
  #drainError: RegistryError | undefined;
  /** Silence after which the server is probed, and after the same again given up, ms. */
  silenceMs: number = CLIENT_SILENCE_MS;
  /** Start of the silence: when bytes last arrived while requests were in flight. */
  #silentSinceMs = 0;
  /** The probe sent because of the silence. */
  #probe: Call | undefined;
  #probedAtMs = 0;

  constructor(
    parameters: ConnectionParameters,
    parts: {
      readonly stream: Stream;
      readonly further: FurtherStreams;
      readonly greeted: Greeted;
      readonly proof: SessionProof | undefined;
      readonly token: SessionToken;
    },
  ) {
    const { stream, further, greeted, proof, token } = parts;
    const { greeting, assembler, later } = greeted;
    this.endpoint = parameters.endpoint;
    this.greeting = greeting;
    this.#world = parameters.world;
    this.#turns = parameters.turns;
    this.#session = further.session;
    this.#further = further;
    this.#later = later;
    this.#token = token;
    this.#renewal = new SessionRenewal(further, parameters, (proof) => void token.proven(proof));
    if (proof !== undefined) this.#renewal.start(proof);
    const allowed = greeting.requestsInFlightMax || parameters.inFlightMax;
    this.#inFlightMax = Math.min(parameters.inFlightMax, allowed, CLIENT_IN_FLIGHT_MAX);
    this.#frameBytesMax = Math.min(
      greeting.frameBytesMax || REQUEST_FRAME_BYTES_MAX,
      REQUEST_FRAME_BYTES_MAX,
    );
    this.#header = {
      id: 0,
      timeoutMs: 0,
      ringEpoch: NO_EPOCH,
      maxStalenessMs: 0,
      operation: 0,
      delegation: 0,
    };
    const onFailure = (error: RegistryError) => this.#end(error);
    this.#main = this.#newChannel(stream, { assembler, onFailure });
  }

  /** Starts reading; from now on `owner` receives all events. */
  start(owner: ConnectionOwner): void {
    this.#owner = owner;
    owner.ringMap(this.greeting.ringMap);
    for (const message of this.#later) this.#control(message);
    this.#main.run().catch((error) => this.#end(toRegistryError(error)));
  }

  /** The number of watches. */
  get watching(): number {
    return this.#watches?.count ?? 0;
  }

  /** The number of requests waiting for replies or a delegation, without watches. */
  get inFlight(): number {
    const held = this.#delegations?.held ?? 0;
    return this.#main.table.count + (this.#bulk?.table.count ?? 0) + held;
  }

  /** Reports whether one more call may be sent. */
  get hasRoom(): boolean {
    if (this.#closing || this.inFlight >= this.#inFlightMax) return false;
    if (this.#main.gatheredBytes < CLIENT_OUTBOX_BYTES) return true;
    this.#awaitRoom();
    return false;
  }

  /**
   * Sends `call` together with the other requests of this turn. Requires {@link hasRoom}.
   *
   * @throws RegistryError `too_large` or `invalid_argument` if the call can never be sent.
   */
  send(call: Call, nowMs: number): void {
    if (this.inFlight === 0) {
      this.#silentSinceMs = nowMs;
      this.#probe = undefined;
    }
    if (call.delegation === undefined) this.#streamOf(call).send(call, nowMs);
    else (this.#delegations ??= this.#newDelegations()).send(call, call.delegation, nowMs);
  }

  #newDelegations(): ConnectionDelegations {
    return new ConnectionDelegations({
      send: (call, nowMs) => this.#streamOf(call).send(call, nowMs),
      refused: (call, error) => this.#owner?.refused(call, error),
      late: (call) => this.#owner?.late(call),
    }, this.#world.monotonic);
  }

  /** Ends a watch: the server is told, and what still arrives is ignored. */
  cancel(call: Call): void {
    this.#watches?.cancel(call);
  }

  /**
   * Times out late calls and detects a silent server.
   *
   * @returns the time at which to call this next; Infinity if nothing is in flight.
   */
  check(nowMs: number): number {
    let dueMs = this.#watches?.expire(nowMs) ?? Infinity;
    dueMs = Math.min(dueMs, this.#delegations?.expire(nowMs) ?? Infinity);
    // Nothing else may be in flight whose answer would show that the server lives.
    if (this.#watches?.isLate === true && this.inFlight === 0) this.#askIfAlive(nowMs);
    for (const channel of [this.#main, this.#bulk]) {
      if (channel === undefined || channel.table.count === 0) continue;
      const nextMs = channel.table.expire(nowMs, (call) => {
        if (call !== this.#probe) this.#owner?.late(call);
      });
      dueMs = Math.min(dueMs, nextMs);
    }
    if (this.inFlight === 0) return dueMs;
    return Math.min(dueMs, this.#checkSilence(nowMs));
  }

  /** Returns and forgets all calls in flight; their replies will be ignored. */
  forgetAll(): Call[] {
    const held = this.#delegations?.drain() ?? [];
    const calls = this.#main.table.drain();
    if (this.#bulk === undefined && this.#watches === undefined && held.length === 0) return calls;
    const bulk = this.#bulk?.table.drain() ?? [];
    const watches = this.#watches?.drain() ?? [];
    return [...held, ...calls, ...bulk, ...watches].sort((a, b) => a.serial - b.serial);
  }

  /** Says goodbye and ends the session; resolves when that is done. The owner is not notified. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#stop();
    this.#main.say(goodbyeOf(undefined, ""));
    // Every answer that the caller waited for has arrived; a server that is gone must not hold it.
    await this.#session.goodbye(undefined, "The client closed", { lingerMs: REFUSAL_LINGER_MS });
  }

  #newChannel(
    stream: Stream | Promise<Stream>,
    options: Pick<ChannelOptions, "assembler" | "onFailure"> & { readonly isForWatches?: boolean },
  ): RequestChannel {
    const { isForWatches = false } = options;
    return new RequestChannel({
      ...options,
      stream,
      // A watch waits for changes, not for a reply that is due.
      turns: isForWatches ? new WriteTurns(this.#world.scheduler) : this.#turns,
      header: this.#header,
      // One more than callers may use, for the probe. The server limits watches by itself.
      capacity: isForWatches
        ? 1 << CLIENT_WATCHES_BITS
        : Math.min(this.#inFlightMax + 1, CLIENT_IN_FLIGHT_MAX),
      slotBits: isForWatches ? CLIENT_WATCHES_BITS : undefined,
      frameBytesMax: this.#frameBytesMax,
      owner: {
        heard: () => void (this.#silentSinceMs = this.#world.monotonic.nowMs()),
        answered: (call, value) => {
          if (call === this.#probe) this.#probe = undefined;
          else this.#owner?.answered(call, value);
        },
        refused: (call, error) => {
          if (error.code === "unknown_delegation") this.#delegations?.forget(call);
          if (call === this.#probe) this.#probe = undefined;
          else this.#owner?.refused(call, error);
        },
        continued: isForWatches ? (call) => this.#continued(call) : undefined,
        control: (message) => this.#control(message),
        served: () => {
          if (this.#drainTimer !== undefined && this.inFlight === 0) this.#endDrained();
          else this.#owner?.room();
        },
        nextTurn: () => new Promise((resolve) => this.#world.scheduler.nextTurn(resolve)),
      },
    });
  }

  #streamOf({ operation }: Call): RequestChannel | WatchRequests {
    if (BULK.has(operation)) return this.#bulk ??= this.#openBeside(false);
    if (!WATCH_OPERATIONS.has(operation)) return this.#main;
    return this.#watches ??= new WatchRequests(this.#openBeside(true), this.#world, {
      refused: (call, error) => this.#owner?.refused(call, error),
      late: (call) => this.#owner?.late(call),
    });
  }

  /** Opens a stream beside the first one. */
  #openBeside(isForWatches: boolean): RequestChannel {
    // A failed write ends the stream, which its pending read reports.
    const channel = this.#newChannel(this.#further.open("request"), {
      isForWatches,
      onFailure: () => {},
    });
    channel.run().catch((error) => this.#besideFailed(channel, toRegistryError(error)));
    return channel;
  }

  /** Handles the end of a stream beside the first one: a later call opens another one. */
  #besideFailed(channel: RequestChannel, error: RegistryError): void {
    if (this.#ended) return;
    if (error.code === "malformed" || error.code === "too_large") return this.#end(error);
    const watches = this.#watches;
    if (watches?.channel === channel) {
      this.#watches = undefined;
      watches.close();
      for (const call of watches.drain()) this.#owner?.refused(call, error);
      return;
    }
    channel.close();
    this.#bulk = undefined;
    const nowMs = this.#world.monotonic.nowMs();
    for (const call of channel.table.drain()) {
      // Without room for another stream, the first one carries the large replies too.
      if (error.code === "overloaded") this.#sendOnMain(call, nowMs);
      else this.#owner?.refused(call, error);
    }
  }

  #sendOnMain(call: Call, nowMs: number): void {
    try {
      this.#main.send(call, nowMs);
    } catch (error) {
      this.#owner?.refused(call, toRegistryError(error));
    }
  }

  /** Returns the time at which a watch is given up, unless another reply comes. */
  #continued({ silenceMs = 0 }: Call): number {
    const nowMs = this.#world.monotonic.nowMs();
    this.#owner?.due(nowMs + silenceMs, nowMs);
    return nowMs + silenceMs;
  }

  #control(message: ControlMessage): void {
    if (message.kind === "ring_map") this.#owner?.ringMap(message.ringMap);
    else if (message.kind === "goodbye") this.#drain(goodbyeError(message.goodbye));
  }

  #awaitRoom(): void {
    if (this.#waitingForRoom) return;
    this.#waitingForRoom = true;
    this.#main.drained(CLIENT_OUTBOX_BYTES / 2).then(() => {
      this.#waitingForRoom = false;
      if (!this.#ended) this.#owner?.room();
    });
  }

  #checkSilence(nowMs: number): number {
    const silentMs = nowMs - this.#silentSinceMs;
    if (silentMs < this.silenceMs) return this.#silentSinceMs + this.silenceMs;
    if (this.#probe === undefined && !this.#main.table.full) this.#askIfAlive(nowMs);
    // Counts from the probe, not from the silence: this process itself may have been suspended.
    const giveUpAtMs = this.#probedAtMs + this.silenceMs;
    if (nowMs < giveUpAtMs) return giveUpAtMs;
    this.#end(
      new RegistryError(
        "connection_lost",
        `The server sent nothing for ${Math.round(silentMs)} ms`,
      ),
    );
    return Infinity;
  }

  #askIfAlive(nowMs: number): void {
    const probe = probeCall(nowMs + 2 * this.silenceMs);
    this.send(probe, nowMs);
    this.#probe = probe;
    this.#probedAtMs = nowMs;
  }

  /** Handles the server's goodbye: calls in flight may still be answered, for CLIENT_DRAIN_MS. */
  #drain(error: RegistryError | undefined): void {
    this.#closing = true;
    this.#drainError = error;
    if (this.inFlight === 0) return this.#endDrained();
    this.#drainTimer = this.#world.scheduler.after(CLIENT_DRAIN_MS, () => this.#endDrained());
  }

  #endDrained(): void {
    this.#end(
      this.#drainError ?? new RegistryError("connection_lost", "The server ended the session"),
    );
  }

  #end(error: RegistryError): void {
    if (this.#ended) return;
    this.#stop();
    if (error.code === "malformed" || error.code === "too_large") {
      this.#main.say(goodbyeOf(error.code, error.message));
      // Never rejects and need not be awaited.
      void this.#session.goodbye(error.code, error.message);
    } else {
      this.#session.abort(error.message);
    }
    const unanswered = this.forgetAll().filter((call) => call !== this.#probe);
    this.#owner?.ended(this, error, unanswered);
  }

  /** Stops everything but the session. */
  #stop(): void {
    this.#ended = this.#closing = true;
    this.#drainTimer?.cancel();
    this.#renewal.close();
    this.#token.close();
    this.#main.close();
    this.#bulk?.close();
    this.#watches?.close();
  }
}
