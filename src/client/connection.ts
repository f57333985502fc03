/**
 * One connection: a session with its control stream and one request stream. All requests of one
 * turn are sent in one write, and all replies of a chunk are decoded in place. A silent server is
 * probed and then given up, because a transport may take 45 s to notice.
 *
 * A connection ends once, for any reason; its owner then gets back every unanswered call.
 */
import {
  type Hello,
  requestCodec,
  responseCodec,
  type ResponseView,
} from "../../schemas/gen/wire.ts";
import {
  errorCodeFromWire,
  type ErrorFields,
  RegistryError,
  toRegistryError,
} from "../base/errors.ts";
import {
  CLIENT_DRAIN_MS,
  CLIENT_IN_FLIGHT_MAX,
  CLIENT_OUTBOX_BYTES,
  CLIENT_READ_BYTES_MIN,
  CLIENT_SILENCE_MS,
  REFUSAL_LINGER_MS,
  REQUEST_FRAME_BYTES_MAX,
  REQUEST_TIMEOUT_MS_MAX,
  RESPONSE_FRAME_BYTES_MAX,
} from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { RingEpoch, RingMap } from "../ring/ring_map.ts";
import type { Greeting } from "../wire/control.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import { OPERATIONS } from "../wire/operations/mod.ts";
import { Outbox } from "../../transport/outbox.ts";
import type {
  Dialer,
  Endpoint,
  OwnedBytes,
  Session,
  Stream,
  Trust,
} from "../../transport/transport.ts";
import { Call } from "./call.ts";
import type { Credentials } from "./credentials.ts";
import { ControlChannel } from "./control_channel.ts";
import { PendingTable } from "./pending.ts";
import { nextReplyBuffer } from "./read_buffer.ts";
import { proveSession, type SessionProof, SessionRenewal, whyRefused } from "./session_proof.ts";
import { SessionToken } from "./session_token.ts";

/** Callbacks through which a connection reports to its owner. */
export interface ConnectionOwner {
  /** A successful reply arrived and was decoded. */
  answered(call: Call, value: unknown): void;
  /** The call was refused, or its reply could not be decoded. */
  refused(call: Call, error: RegistryError): void;
  /** The call's deadline passed. */
  late(call: Call): void;
  /** There is room for waiting calls again. */
  room(): void;
  ringMap(map: RingMap): void;
  /** The connection ended; `unanswered` returns to the owner, oldest call first. */
  ended(connection: Connection, error: RegistryError, unanswered: Call[]): void;
}

/** Parameters of {@link openConnection}. */
export interface ConnectionParameters {
  readonly dialer: Dialer;
  readonly endpoint: Endpoint;
  readonly trust: Trust;
  readonly credentials: Credentials;
  readonly hello: Hello;
  readonly world: World;
  readonly inFlightMax: number;
  /** Time limit from dialing to the reply to Hello, ms. */
  readonly timeoutMs: number;
  /** Cancels the attempt while the connection is being established. */
  readonly signal: AbortSignal;
}

/**
 * Dials an endpoint, authenticates and sends Hello.
 *
 * @throws RegistryError as `Dialer.dial`, `deadline_exceeded`, or the code of the server's goodbye.
 */
export async function openConnection(parameters: ConnectionParameters): Promise<Connection> {
  const { dialer, endpoint, trust, hello, world, timeoutMs, signal } = parameters;
  const session = await dialer.dial(endpoint, { trust, timeoutMs, signal });
  const token = new SessionToken({ ...parameters, session });
  let late = false;
  const timer = world.scheduler.after(timeoutMs, () => {
    late = true;
    session.abort("The server did not answer Hello in time");
  });
  const cancel = () => session.abort("The client gave up");
  signal.addEventListener("abort", cancel);
  try {
    const first = await session.open("control");
    const proof = await proveSession(session, first, parameters);
    const control = new ControlChannel(first);
    const greeting = await control.greet(hello);
    await token.proven(proof);
    const stream = await session.open("request");
    return new Connection(parameters, { session, control, stream, greeting, proof, token });
  } catch (error) {
    const refusal = await whyRefused(session, toRegistryError(error), world);
    token.close();
    session.abort("The session could not be set up");
    if (!late) throw refusal;
    throw new RegistryError(
      "deadline_exceeded",
      `Server must answer Hello within ${timeoutMs} ms: it did not`,
      {},
      error,
    );
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", cancel);
  }
}

/** The header of a request; one object is reused for all requests. */
interface RequestHeader {
  id: number;
  timeoutMs: number;
  ringEpoch: RingEpoch;
  maxStalenessMs: number;
  operation: number;
}

const PROBE_BODY = {};

/** A session on which Hello was answered. */
export class Connection {
  readonly endpoint: Endpoint;
  readonly greeting: Greeting;
  readonly #world: World;
  readonly #session: Session;
  readonly #control: ControlChannel;
  readonly #stream: Stream;
  readonly #renewal: SessionRenewal;
  readonly #token: SessionToken;
  readonly #outbox: Outbox;
  readonly #table: PendingTable;
  readonly #inFlightMax: number;
  readonly #frameBytesMax: number;
  readonly #assembler = new FrameAssembler({
    frameBytesMax: RESPONSE_FRAME_BYTES_MAX,
    segmentsMax: 1,
  });
  readonly #response: ResponseView = responseCodec.newView();
  readonly #header: RequestHeader;
  #owner: ConnectionOwner | undefined;
  #flushing = false;
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
      readonly session: Session;
      readonly control: ControlChannel;
      readonly stream: Stream;
      readonly greeting: Greeting;
      readonly proof: SessionProof | undefined;
      readonly token: SessionToken;
    },
  ) {
    const { greeting } = parts;
    this.endpoint = parameters.endpoint;
    this.greeting = greeting;
    this.#world = parameters.world;
    this.#session = parts.session;
    this.#control = parts.control;
    this.#stream = parts.stream;
    this.#token = parts.token;
    this.#renewal = new SessionRenewal(
      parts.session,
      parameters,
      (proof) => void this.#token.proven(proof),
    );
    if (parts.proof !== undefined) this.#renewal.start(parts.proof);
    const allowed = greeting.requestsInFlightMax || parameters.inFlightMax;
    this.#inFlightMax = Math.min(parameters.inFlightMax, allowed, CLIENT_IN_FLIGHT_MAX);
    // Has one slot more than callers may use, for the probe.
    this.#table = new PendingTable(Math.min(this.#inFlightMax + 1, CLIENT_IN_FLIGHT_MAX));
    this.#frameBytesMax = Math.min(
      greeting.frameBytesMax || REQUEST_FRAME_BYTES_MAX,
      REQUEST_FRAME_BYTES_MAX,
    );
    this.#outbox = new Outbox(parts.stream, {
      bytesMax: CLIENT_OUTBOX_BYTES + 2 * REQUEST_FRAME_BYTES_MAX,
      onFailure: (error) => this.#end(error),
    });
    this.#header = {
      id: 0,
      timeoutMs: 0,
      ringEpoch: greeting.ringMap.epoch,
      maxStalenessMs: 0,
      operation: 0,
    };
  }

  /** Starts reading; from now on `owner` receives all events. */
  start(owner: ConnectionOwner): void {
    this.#owner = owner;
    owner.ringMap(this.greeting.ringMap);
    const handler = {
      ringMap: (map: RingMap) => {
        owner.ringMap(map);
      },
      goodbye: (error: RegistryError | undefined) => this.#drain(error),
    };
    const failed = (error: unknown) => this.#end(toRegistryError(error));
    this.#control.follow(handler).catch(failed);
    this.#readReplies().catch(failed);
  }

  /** The epoch of the newest ring map that the client knows, sent with every request. */
  set ringEpoch(epoch: RingEpoch) {
    this.#header.ringEpoch = epoch;
  }

  /** The number of requests waiting for replies. */
  get inFlight(): number {
    return this.#table.count;
  }

  /** Reports whether one more call may be sent. */
  get hasRoom(): boolean {
    if (this.#closing || this.#table.count >= this.#inFlightMax) return false;
    if (this.#outbox.gatheredBytes < CLIENT_OUTBOX_BYTES) return true;
    this.#awaitRoom();
    return false;
  }

  /**
   * Sends `call` together with the other requests of this turn. Requires {@link hasRoom}.
   *
   * @throws RegistryError `too_large` or `invalid_argument` if the call can never be sent.
   */
  send(call: Call, nowMs: number): void {
    const out = this.#outbox.writer;
    const start = out.length;
    const header = this.#header;
    if (this.#table.count === 0) {
      this.#silentSinceMs = nowMs;
      this.#probe = undefined;
    }
    header.id = this.#table.add(call);
    header.timeoutMs = requestTimeoutMs(call.deadlineMs - nowMs);
    header.maxStalenessMs = call.maxStalenessMs;
    header.operation = call.operation.id;
    try {
      requestCodec.write(out, header, call.operation.request, call.body);
      const size = out.length - start;
      if (size > this.#frameBytesMax) {
        out.truncate(start);
        throw new RegistryError(
          "too_large",
          `Request must have at most ${this.#frameBytesMax} bytes: it has ${size}`,
        );
      }
    } catch (error) {
      this.#table.take(header.id);
      throw notEncoded(error);
    }
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(this.#flush);
  }

  /**
   * Times out late calls and detects a silent server.
   *
   * @returns the time at which to call this next; Infinity if nothing is in flight.
   */
  check(nowMs: number): number {
    if (this.#table.count === 0) return Infinity;
    const dueMs = this.#table.expire(nowMs, (call) => {
      if (call !== this.#probe) this.#owner?.late(call);
    });
    if (this.#table.count === 0) return Infinity;
    return Math.min(dueMs, this.#checkSilence(nowMs));
  }

  /** Returns and forgets all calls in flight; their replies will be ignored. */
  forgetAll(): Call[] {
    return this.#table.drain();
  }

  /** Says goodbye and ends the session; resolves when that is done. The owner is not notified. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = this.#closing = true;
    this.#drainTimer?.cancel();
    this.#renewal.close();
    this.#token.close();
    this.#control.goodbye(undefined, "");
    // Every answer that the caller waited for has arrived; a server that is gone must not hold it.
    await this.#session.goodbye(undefined, "The client closed", { lingerMs: REFUSAL_LINGER_MS });
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    this.#outbox.flush();
  };

  #awaitRoom(): void {
    if (this.#waitingForRoom) return;
    this.#waitingForRoom = true;
    this.#outbox.drained(CLIENT_OUTBOX_BYTES / 2).then(() => {
      this.#waitingForRoom = false;
      if (!this.#ended) this.#owner?.room();
    });
  }

  async #readReplies(): Promise<void> {
    let buffer: OwnedBytes = new Uint8Array(CLIENT_READ_BYTES_MIN);
    for (;;) {
      const chunk = await this.#stream.read(buffer);
      if (chunk === undefined) {
        throw new RegistryError("connection_lost", "The server ended the request stream");
      }
      if (this.#ended) return;
      this.#silentSinceMs = this.#world.monotonic.nowMs();
      const due = this.#table.count;
      this.#assembler.push(chunk, this.#takeReply);
      const answered = due - this.#table.count;
      if (this.#drainTimer !== undefined && this.#table.count === 0) this.#endDrained();
      else this.#owner?.room();
      // The buffer was full, so more data has arrived. Yields a turn first, so that new requests
      // are sent before the next read; otherwise the server would wait for them.
      if (chunk.length === chunk.buffer.byteLength) await this.#nextTurn();
      buffer = nextReplyBuffer(chunk, answered, due);
    }
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#world.scheduler.nextTurn(resolve));
  }

  readonly #takeReply = (view: DataView, bytes: Uint8Array, start: number, end: number): void => {
    const response = this.#response.wrap(view, bytes, start + 8, end);
    const call = this.#table.take(response.id);
    // A late reply to an abandoned call, or a reply to an unknown id.
    if (call === undefined) return;
    if (call === this.#probe) {
      this.#probe = undefined;
      return;
    }
    if (response.code !== 0) {
      this.#owner?.refused(call, errorOf(response));
      return;
    }
    let value: unknown;
    try {
      value = call.decode(response, view, bytes);
    } catch (error) {
      this.#owner?.refused(call, toRegistryError(error));
      throw error;
    }
    this.#owner?.answered(call, value);
  };

  #checkSilence(nowMs: number): number {
    const silentMs = nowMs - this.#silentSinceMs;
    if (silentMs < this.silenceMs) return this.#silentSinceMs + this.silenceMs;
    if (this.#probe === undefined && !this.#table.full) {
      this.#probe = this.#newProbe(nowMs);
      this.#probedAtMs = nowMs;
      this.send(this.#probe, nowMs);
    }
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

  /** Returns a status request, which every live node answers at once; any answer will do. */
  #newProbe(nowMs: number): Call {
    return new Call(
      {
        operation: OPERATIONS.status,
        body: PROBE_BODY,
        decode: () => undefined,
        maxStalenessMs: 0,
        deadlineMs: nowMs + 2 * this.silenceMs,
        resolve: () => {},
        reject: () => {},
      },
      Number.MAX_SAFE_INTEGER,
    );
  }

  /** Handles the server's goodbye: calls in flight may still be answered, for CLIENT_DRAIN_MS. */
  #drain(error: RegistryError | undefined): void {
    this.#closing = true;
    this.#drainError = error;
    if (this.#table.count === 0) return this.#endDrained();
    this.#drainTimer = this.#world.scheduler.after(CLIENT_DRAIN_MS, () => this.#endDrained());
  }

  #endDrained(): void {
    this.#end(
      this.#drainError ?? new RegistryError("connection_lost", "The server ended the session"),
    );
  }

  #end(error: RegistryError): void {
    if (this.#ended) return;
    this.#ended = this.#closing = true;
    this.#drainTimer?.cancel();
    this.#renewal.close();
    this.#token.close();
    if (error.code === "malformed" || error.code === "too_large") {
      this.#control.goodbye(error.code, error.message);
      // Never rejects and need not be awaited.
      void this.#session.goodbye(error.code, error.message);
    } else {
      this.#session.abort(error.message);
    }
    const unanswered = this.#table.drain().filter((call) => call !== this.#probe);
    this.#owner?.ended(this, error, unanswered);
  }
}

function requestTimeoutMs(leftMs: number): number {
  return Math.min(Math.max(1, Math.ceil(leftMs)), REQUEST_TIMEOUT_MS_MAX);
}

/** Maps errors of the codec to `invalid_argument`: they are the caller's mistake. */
function notEncoded(error: unknown): RegistryError {
  if (error instanceof RangeError || error instanceof TypeError) {
    return new RegistryError("invalid_argument", error.message, {}, error);
  }
  return toRegistryError(error);
}

/** Builds the error that a refusal describes. */
function errorOf(response: ResponseView): RegistryError {
  const code = errorCodeFromWire(response.code);
  const { message, field, retryAfterMs, cacheMs, leaderHint, currentGeneration } = response;
  const fields: { -readonly [K in keyof ErrorFields]: ErrorFields[K] } = {};
  if (field !== "") fields.field = field;
  if (retryAfterMs > 0) fields.retryAfterMs = retryAfterMs;
  if (cacheMs > 0) fields.cacheMs = cacheMs;
  if (leaderHint > 0) {
    fields.leaderHint = leaderHint;
    if (response.leaderTerm > 0) fields.leaderTerm = response.leaderTerm;
  }
  if (currentGeneration > 0 || response.currentIndex > 0) {
    fields.incarnation = { generation: currentGeneration, index: response.currentIndex };
  }
  return new RegistryError(code, message || `The registry answered ${code}`, fields);
}
