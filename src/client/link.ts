/**
 * Keeps one connection to the registry: dials the endpoints in turn, hands each connection to the
 * dispatcher, and dials again when it is lost, for as long as the client is open. Failed attempts
 * back off with full jitter, so that a fleet does not come back at once.
 */
import type { Hello } from "../../schemas/gen/wire.ts";
import { bytesEqual } from "../base/bytes.ts";
import { ERROR_TABLE, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  CLIENT_ATTEMPT_MS_BASE,
  CLIENT_RECONNECT_MS_BASE,
  CLIENT_RECONNECT_MS_CAP,
  CLIENT_STABLE_MS,
  DIAL_MS_MAX,
} from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { Dialer, Endpoint, Trust } from "../../transport/transport.ts";
import type { Credentials } from "./credentials.ts";
import { type Connection, openConnection } from "./connection.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { backOffMs } from "./retry.ts";
import type { ConnectionEvent } from "./types.ts";

const RECONNECT = { baseMs: CLIENT_RECONNECT_MS_BASE, capMs: CLIENT_RECONNECT_MS_CAP };

/** What a link is made with. */
export interface LinkOptions {
  readonly endpoints: readonly Endpoint[];
  readonly dialer: Dialer;
  readonly trust: Trust;
  readonly credentials: Credentials;
  readonly world: World;
  readonly hello: Hello;
  readonly inFlightMax: number;
  readonly onEvent: (event: ConnectionEvent) => void;
}

/** An endpoint, and by what it is believed this time. */
interface Way {
  readonly endpoint: Endpoint;
  readonly trust: Trust;
}

/** The connection of one client, through all its lives. */
export class Link {
  readonly #options: LinkOptions;
  readonly #dispatcher: Dispatcher;
  readonly #giveUp = new AbortController();
  readonly #firstSettled: PromiseWithResolvers<void>;
  #connection: Connection | undefined;
  #connectedAtMs = 0;
  /** Which way is tried next. */
  #turn: number;
  /** Failed attempts, and connections that did not live long, since the last good one. */
  #failures = 0;
  /** Attempts in a row that no repetition will mend. */
  #hopeless = 0;
  #timer: Timer | undefined;
  #closed = false;
  /** Connections that were made. */
  connections = 0;

  constructor(options: LinkOptions, dispatcher: Dispatcher) {
    this.#options = options;
    this.#dispatcher = dispatcher;
    this.#firstSettled = Promise.withResolvers<void>();
    // A lazy client has nobody who waits for the first connection.
    this.#firstSettled.promise.catch(() => {});
    // Clients begin at different endpoints, so that they spread over the nodes.
    this.#turn = Math.floor(options.world.entropy.unit() * options.endpoints.length);
  }

  /** The endpoint of the connection, while there is one. */
  get endpoint(): Endpoint | undefined {
    return this.#connection?.endpoint;
  }

  /** Begins to dial. */
  start(): void {
    void this.#attempt();
  }

  /**
   * Resolves when the first connection is made.
   *
   * @throws RegistryError why the last attempt failed: after `timeoutMs`, or at once where no
   * endpoint can ever be used (`tls_failed`, `wrong_cluster`, …).
   */
  async first(timeoutMs: number): Promise<void> {
    const timer = this.#options.world.scheduler.after(timeoutMs, () => {
      this.#firstSettled.reject(
        this.#dispatcher.connectionError ??
          new RegistryError(
            "deadline_exceeded",
            `A connection must be made within ${timeoutMs} ms: the first attempt still runs`,
          ),
      );
    });
    try {
      await this.#firstSettled.promise;
    } finally {
      timer.cancel();
    }
  }

  /** The attached connection is over: dials again. */
  lost(connection: Connection, error: RegistryError): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (this.#closed) return;
    const livedMs = this.#options.world.monotonic.nowMs() - this.#connectedAtMs;
    this.#failures = livedMs >= CLIENT_STABLE_MS ? 1 : this.#failures + 1;
    this.#options.onEvent({ kind: "lost", endpoint: connection.endpoint, error });
    this.#retry(error);
  }

  /** Says goodbye, stops dialing; resolves when the session is over. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#giveUp.abort();
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }

  async #attempt(): Promise<void> {
    const { onEvent } = this.#options;
    const ways = this.#ways;
    const { endpoint, trust } = ways[this.#turn++ % ways.length]!;
    let connection: Connection;
    try {
      connection = await openConnection({
        ...this.#options,
        endpoint,
        trust,
        timeoutMs: attemptMs(this.#failures),
        signal: this.#giveUp.signal,
      });
    } catch (cause) {
      if (!this.#closed) this.#failed(endpoint, toRegistryError(cause), ways.length);
      return;
    }
    if (this.#closed) return await connection.close();
    this.#connection = connection;
    this.#connectedAtMs = this.#options.world.monotonic.nowMs();
    this.#hopeless = 0;
    this.connections++;
    this.#dispatcher.attach(connection);
    this.#firstSettled.resolve();
    onEvent({ kind: "connected", endpoint, nodeId: connection.greeting.nodeId });
  }

  /** Every endpoint in every way that it is tried, a round of the endpoints after the other. */
  get #ways(): readonly Way[] {
    const perEndpoint = this.#options.endpoints.map((endpoint) =>
      this.#trusts(endpoint).map((trust) => ({ endpoint, trust }))
    );
    const rounds = Math.max(...perEndpoint.map((ways) => ways.length));
    return Array.from(
      { length: rounds },
      (_, round) => perEndpoint.flatMap((ways) => ways.slice(round, round + 1)),
    ).flat();
  }

  /**
   * Whoever proves an identity must know which certificate was shown, which only a single pin tells:
   * several are tried one after the other. TLS tells by itself.
   */
  #trusts(endpoint: Endpoint): readonly Trust[] {
    const { trust, credentials, dialer } = this.#options;
    if (credentials.kind === "development" || dialer.transport === "tls") return [trust];
    const known = credentials.pins?.(endpoint) ?? [];
    const given = trust.kind === "pins" ? trust.sha256 : [];
    const others = given.filter((pin) => !known.some((other) => bytesEqual(pin, other)));
    const pins = [...known, ...others];
    return pins.length === 0 ? [trust] : pins.map((pin) => ({ kind: "pins", sha256: [pin] }));
  }

  #failed(endpoint: Endpoint, error: RegistryError, ways: number): void {
    this.#failures++;
    this.#hopeless = isHopeless(error) ? this.#hopeless + 1 : 0;
    // That one more pin is not the server's says less than why the server refused.
    const before = this.#hopeless > 1 ? this.#dispatcher.connectionError : undefined;
    const told = error.code === "tls_failed" && before !== undefined ? before : error;
    this.#dispatcher.connectionError = told;
    if (this.#hopeless >= ways) this.#firstSettled.reject(told);
    const retryInMs = this.#retry(error);
    this.#options.onEvent({ kind: "attempt_failed", endpoint, error, retryInMs });
  }

  #retry(error: RegistryError): number {
    const { world } = this.#options;
    const delayMs = backOffMs(
      this.#failures,
      RECONNECT,
      world.entropy,
      error.fields.retryAfterMs,
    );
    this.#timer = world.scheduler.after(delayMs, () => void this.#attempt());
    return delayMs;
  }
}

/** The time of one attempt, from dialing to the answer to Hello, after that many failures. */
function attemptMs(failures: number): number {
  return Math.min(DIAL_MS_MAX, CLIENT_ATTEMPT_MS_BASE * 2 ** Math.max(0, failures - 1));
}

/** True where trying again changes nothing unless somebody acts. */
function isHopeless(error: RegistryError): boolean {
  return error.code === "tls_failed" || ERROR_TABLE[error.code].class === "caller";
}
