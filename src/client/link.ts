/**
 * Maintains one connection while it is wanted: dials the endpoints in turn, hands each connection
 * to the queue of calls, and dials again when it is lost. Failed attempts back off with full jitter,
 * so that the clients of a fleet do not all reconnect at once.
 */
import type { Hello } from "../../schemas/gen/wire.ts";
import { bytesEqual } from "../base/bytes.ts";
import { ERROR_TABLE, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  CLIENT_ATTEMPT_MS_BASE,
  CLIENT_RECONNECT_MS_BASE,
  CLIENT_RECONNECT_MS_CAP,
  CLIENT_REFUSED_MS_BASE,
  CLIENT_STABLE_MS,
  DIAL_MS_MAX,
} from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { Dialer, Endpoint, Trust } from "../../transport/transport.ts";
import type { CallQueue } from "./call_queue.ts";
import type { Credentials } from "./credentials.ts";
import type { Connection } from "./connection.ts";
import { openConnection } from "./open_connection.ts";
import { type BackOff, backOffMs } from "./retry.ts";
import type { ConnectionEvent } from "./types.ts";
import type { WriteTurns } from "./write_turns.ts";

const RECONNECT: BackOff = { baseMs: CLIENT_RECONNECT_MS_BASE, capMs: CLIENT_RECONNECT_MS_CAP };
/** The back-off where the node had no room and did not say when to return. */
const REFUSED: BackOff = { baseMs: CLIENT_REFUSED_MS_BASE, capMs: CLIENT_RECONNECT_MS_CAP };

/** The parameters that all connections of a client share. */
export interface SharedLinkOptions {
  readonly dialer: Dialer;
  readonly trust: Trust;
  readonly credentials: Credentials;
  readonly world: World;
  readonly hello: Hello;
  readonly inFlightMax: number;
}

/** Parameters of a {@link Link}. */
export interface LinkOptions extends SharedLinkOptions {
  /** The turns of all links of the client. */
  readonly turns: WriteTurns;
  /** The endpoints to dial now; at least one. */
  readonly endpoints: () => readonly Endpoint[];
  /** Pins of the one node at these endpoints, from the ring map. */
  readonly pins?: () => readonly Uint8Array[];
  /** The node that must answer at these endpoints; absent if any may. */
  readonly nodeId?: number;
  readonly onEvent: (event: ConnectionEvent) => void;
}

/** An endpoint and the trust to use for one attempt. */
interface DialTarget {
  readonly endpoint: Endpoint;
  readonly trust: Trust;
}

/** A reconnecting connection. */
export class Link {
  readonly #options: LinkOptions;
  readonly #calls: CallQueue;
  readonly #giveUp = new AbortController();
  readonly #firstSettled: PromiseWithResolvers<void>;
  #connection: Connection | undefined;
  #connectedAtMs = 0;
  /** Index of the next dial target. */
  #turn: number;
  /** Failed attempts and short-lived connections since the last stable connection. */
  #failures = 0;
  /** Consecutive attempts that failed with an error that a retry cannot fix. */
  #unrecoverable = 0;
  #timer: Timer | undefined;
  #closed = false;
  /** The number of connections established. */
  connections = 0;

  constructor(options: LinkOptions, calls: CallQueue) {
    this.#options = options;
    this.#calls = calls;
    this.#firstSettled = Promise.withResolvers<void>();
    // Nobody waits for the first connection of a lazy client; its calls report why there is none.
    this.#firstSettled.promise.catch(() => {});
    // Clients start at random endpoints, which spreads them over the nodes.
    this.#turn = Math.floor(options.world.entropy.unit() * options.endpoints().length);
  }

  /** The endpoint of the current connection, if any. */
  get endpoint(): Endpoint | undefined {
    return this.#connection?.endpoint;
  }

  /** The id of the cluster of the current connection, 16 bytes. */
  get clusterId(): Uint8Array | undefined {
    return this.#connection?.greeting.clusterId;
  }

  /** Starts dialing. */
  start(): void {
    void this.#attempt();
  }

  /**
   * Resolves when the first connection is established.
   *
   * @throws RegistryError the error of the last attempt: after `timeoutMs`, or at once if every
   * endpoint failed with an error that a retry cannot fix (`tls_failed`, `wrong_cluster`, …).
   */
  async first(timeoutMs: number): Promise<void> {
    const timer = this.#options.world.scheduler.after(timeoutMs, () => {
      this.#firstSettled.reject(
        this.#calls.connectionError ??
          new RegistryError(
            "deadline_exceeded",
            `A connection must be made within ${timeoutMs} ms: the first attempt is still running`,
          ),
      );
    });
    try {
      await this.#firstSettled.promise;
    } finally {
      timer.cancel();
    }
  }

  /** Handles the end of the attached connection: dials again. */
  lost(connection: Connection, error: RegistryError): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (this.#closed) return;
    const livedMs = this.#options.world.monotonic.nowMs() - this.#connectedAtMs;
    this.#failures = livedMs >= CLIENT_STABLE_MS ? 1 : this.#failures + 1;
    this.#options.onEvent({ kind: "lost", endpoint: connection.endpoint, error });
    this.#retry(error);
  }

  /** Says goodbye and stops dialing; resolves when the session has ended. */
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
    const targets = this.#targets;
    const { endpoint, trust } = targets[this.#turn++ % targets.length]!;
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
      if (!this.#closed) this.#failed(endpoint, toRegistryError(cause), targets.length);
      return;
    }
    if (this.#closed) return await connection.close();
    const { nodeId } = connection.greeting;
    const expected = this.#options.nodeId ?? nodeId;
    if (nodeId !== expected) {
      this.#failed(endpoint, wrongNode(expected, nodeId), targets.length);
      return await connection.close();
    }
    this.#connection = connection;
    this.#connectedAtMs = this.#options.world.monotonic.nowMs();
    this.#unrecoverable = 0;
    this.connections++;
    this.#calls.attach(connection);
    this.#firstSettled.resolve();
    onEvent({ kind: "connected", endpoint, nodeId });
  }

  /**
   * Every endpoint with each of its trusts: first all endpoints with their first trust, then with
   * their second, and so on.
   */
  get #targets(): readonly DialTarget[] {
    const perEndpoint = this.#options.endpoints().map((endpoint) =>
      this.#trusts(endpoint).map((trust) => ({ endpoint, trust }))
    );
    const rounds = Math.max(...perEndpoint.map((targets) => targets.length));
    return Array.from(
      { length: rounds },
      (_, round) => perEndpoint.flatMap((targets) => targets.slice(round, round + 1)),
    ).flat();
  }

  /**
   * Returns the trusts to try at an endpoint, one attempt each. A client that proves an identity
   * must know which certificate the server presented. Only a single pin determines that, so several
   * pins are tried one after the other. A transport that takes no pins reports the certificate itself.
   *
   * Pins of the ring map come from a node that was verified, so they count like those of the caller.
   * The CA of a development node has signed that node's certificate alone, so it comes after them.
   */
  #trusts(endpoint: Endpoint): readonly Trust[] {
    const { trust, credentials, dialer } = this.#options;
    if (!dialer.pinsServer) return [trust];
    const ofNode = this.#options.pins?.() ?? [];
    const given = trust.kind === "pins" ? trust.sha256 : [];
    if (credentials.kind === "development") {
      if (ofNode.length === 0) return [trust];
      const pins: Trust = { kind: "pins", sha256: distinct([...ofNode, ...given]) };
      return trust.kind === "ca" ? [pins, trust] : [pins];
    }
    const pins = distinct([...ofNode, ...credentials.pins?.(endpoint) ?? [], ...given]);
    return pins.length === 0 ? [trust] : pins.map((pin) => ({ kind: "pins", sha256: [pin] }));
  }

  #failed(endpoint: Endpoint, error: RegistryError, targets: number): void {
    this.#failures++;
    this.#unrecoverable = isUnrecoverable(error) ? this.#unrecoverable + 1 : 0;
    // The server's refusal says more than the mismatch of one more pin.
    const before = this.#unrecoverable > 1 ? this.#calls.connectionError : undefined;
    const told = error.code === "tls_failed" && before !== undefined ? before : error;
    this.#calls.connectionError = told;
    if (this.#unrecoverable >= targets) this.#firstSettled.reject(told);
    const retryInMs = this.#retry(error);
    this.#options.onEvent({ kind: "attempt_failed", endpoint, error, retryInMs });
  }

  #retry(error: RegistryError): number {
    const { world } = this.#options;
    const { code, fields: { retryAfterMs } } = error;
    const backOff = code === "overloaded" && retryAfterMs === undefined ? REFUSED : RECONNECT;
    const delayMs = backOffMs(this.#failures, backOff, world.entropy, retryAfterMs);
    this.#timer = world.scheduler.after(delayMs, () => void this.#attempt());
    return delayMs;
  }
}

/** Returns the time limit of one attempt, from dialing to the reply to Hello, ms. */
function attemptMs(failures: number): number {
  return Math.min(DIAL_MS_MAX, CLIENT_ATTEMPT_MS_BASE * 2 ** Math.max(0, failures - 1));
}

/** Reports whether a retry cannot succeed unless somebody acts. */
function isUnrecoverable(error: RegistryError): boolean {
  return error.code === "tls_failed" || ERROR_TABLE[error.code].class === "caller";
}

function distinct(pins: readonly Uint8Array[]): readonly Uint8Array[] {
  return pins.filter((pin, index) => pins.findIndex((other) => bytesEqual(pin, other)) === index);
}

function wrongNode(expected: number, found: number): RegistryError {
  return new RegistryError(
    "connection_lost",
    `Node ${expected} must answer at the address that the ring map gives it: node ${found} does`,
  );
}
