/**
 * Listens for raw QUIC (ALPN `crs`) and WebTransport (ALPN `h3`) on one UDP port with Deno.
 *
 * A connection waits for its turn (handshake_turns.ts), then passes three stages: begin (limits),
 * handshake, and upgrade (`h3` only). Each is counted, and the last two share a deadline. The connection
 * is accepted in its half-open form, `zeroRtt`, because only that yields a connection which a deadline can
 * close; nothing is read from it before the handshake is complete. Of `incoming`, only `accept` and
 * `refuse` are used: reading any other property consumes it (tests/unit/transport/platform.test.ts).
 * Replaced Deno listeners stay referenced until the end, because collecting one stops its endpoint.
 */
import type { ErrorCode } from "../src/base/errors.ts";
import { errorCodeToWire, RegistryError } from "../src/base/errors.ts";
import {
  CLIENT_IDLE_MS,
  HANDSHAKE_MS_MAX,
  UNIDIRECTIONAL_STREAMS_MAX,
  WEBTRANSPORT_END_MS,
} from "../src/base/limits.ts";
import type { MonotonicClock, Scheduler } from "../src/base/world.ts";
import { AddressRates } from "./address_rates.ts";
import { ALPN_HTTP3, ALPN_REGISTRY } from "./alpn.ts";
import { HandshakeTurns } from "./handshake_turns.ts";
import { ListenerSessions } from "./listener_sessions.ts";
import { addressText, plainHost } from "./host_address.ts";
import { QuicCarrier } from "./quic_carrier.ts";
import type {
  Endpoint,
  Listener,
  ListenerLimits,
  ListenerStats,
  OnError,
  Session,
  TlsCertificate,
} from "./transport.ts";
import { CollectionTrigger } from "./collection_trigger.ts";
import { acceptWebTransport } from "./webtransport_acceptor.ts";

/** Parameters of {@link listenQuic}. */
export interface QuicListenOptions {
  /**
   * Literal IP addresses, all bound to the same port. The first must be available; later addresses
   * that this machine does not have are reported and skipped. Development uses 127.0.0.1 and ::1,
   * because browsers try [::1] first for `localhost`; production binds `::`, which includes IPv4.
   */
  readonly hosts: readonly string[];
  /** The port; 0 chooses a free one. */
  readonly port: number;
  readonly certificate: TlsCertificate;
  readonly scheduler: Scheduler;
  /** Times the rate at which an address may connect, and the turns of handshakes; absent: neither is limited. */
  readonly monotonic?: MonotonicClock;
  readonly onError: OnError;
  readonly limits?: ListenerLimits;
  /** Silence after which a session is given up, ms; the shorter of both sides' values applies. */
  readonly idleMs?: number;
  /** Whether to serve WebTransport too. Default true. */
  readonly webtransport?: boolean;
  /** Application protocol of raw QUIC. Default `crs`. */
  readonly alpn?: string;
}

/** Delay after a failed accept, ms, so that a broken socket does not occupy the processor. */
const ACCEPT_RETRY_MS = 100;
/** Maximum number of attempts to find a port that is free on all addresses. */
const BIND_TRIES_MAX = 16;

/**
 * Binds all addresses and starts accepting.
 *
 * @throws RegistryError `invalid_configuration` for an address that cannot be bound;
 * `invalid_argument` for a certificate that cannot be used.
 */
export function listenQuic(options: QuicListenOptions): Listener {
  return new QuicListener(bindAll(options), options);
}

/** One bound address with all Deno listeners ever created on it; the last one is current. */
interface Bound {
  readonly endpoint: Deno.QuicEndpoint;
  readonly listeners: Deno.QuicListener[];
}

class QuicListener implements Listener {
  readonly addresses: readonly Endpoint[];
  readonly port: number;
  readonly stats: ListenerStats;
  readonly #options: QuicListenOptions;
  readonly #bound: readonly Bound[];
  readonly #sessions: ListenerSessions;
  readonly #rates: AddressRates;
  readonly #turns: HandshakeTurns | undefined;
  readonly #collection = new CollectionTrigger();
  /** One function for all connections. */
  readonly #connectionEnded = (): void => this.#collection.connectionEnded();
  /** Connections in handshake or upgrade. */
  readonly #establishing = new Set<Deno.QuicConn>();
  #certificate: TlsCertificate;
  #closed = false;

  constructor(endpoints: readonly Deno.QuicEndpoint[], options: QuicListenOptions) {
    this.#options = options;
    this.#certificate = options.certificate;
    this.addresses = endpoints.map(({ addr }) => ({ host: addr.hostname, port: addr.port }));
    this.port = this.addresses[0]!.port;
    this.#sessions = new ListenerSessions(options);
    this.stats = this.#sessions.stats;
    const { limits = {}, scheduler, monotonic } = options;
    this.#rates = AddressRates.of(limits);
    this.#turns = monotonic === undefined ? undefined : new HandshakeTurns({
      ...{ scheduler, clock: monotonic, stats: this.stats },
      ...{ waitingMax: limits.handshakesWaitingMax, waitMsMax: limits.handshakeWaitMsMax },
    });
    try {
      this.#bound = endpoints.map((endpoint) => ({
        endpoint,
        listeners: [this.#listen(endpoint)],
      }));
    } catch (error) {
      for (const endpoint of endpoints) endpoint.close();
      throw error;
    }
    for (const bound of this.#bound) void this.#run(bound);
  }

  accept(): Promise<Session | undefined> {
    return this.#sessions.accept();
  }

  rotate(certificate: TlsCertificate): void {
    const before = this.#certificate;
    this.#certificate = certificate;
    try {
      for (const bound of this.#bound) bound.listeners.push(this.#listen(bound.endpoint));
    } catch (error) {
      // The key pair is checked before anything is replaced, so either the first call throws or
      // none.
      this.#certificate = before;
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#turns?.close();
    const ended = this.#sessions.close();
    for (const connection of this.#establishing) {
      closeQuietly(connection, "shutting_down", "the server is shutting down");
    }
    await ended;
    // Close frames are sent in a later turn; closing the endpoint first would drop them.
    await new Promise<void>((resolve) => this.#options.scheduler.after(1, resolve));
    for (const bound of this.#bound) bound.endpoint.close();
  }

  #listen(endpoint: Deno.QuicEndpoint): Deno.QuicListener {
    const { idleMs = CLIENT_IDLE_MS, webtransport = true, alpn = ALPN_REGISTRY } = this.#options;
    try {
      return endpoint.listen({
        cert: this.#certificate.chainPem,
        key: this.#certificate.keyPem,
        alpnProtocols: webtransport ? [alpn, ALPN_HTTP3] : [alpn],
        maxIdleTimeout: idleMs,
        // One more for the CONNECT stream of WebTransport.
        maxConcurrentBidirectionalStreams: this.#sessions.limits.streamsMax + 1,
        maxConcurrentUnidirectionalStreams: webtransport ? UNIDIRECTIONAL_STREAMS_MAX : 0,
      });
    } catch (error) {
      const message = `Cannot use the server certificate: ${describe(error)}`;
      throw new RegistryError("invalid_argument", message, { field: "certificate" }, error);
    }
  }

  async #run(bound: Bound): Promise<void> {
    while (!this.#closed) {
      try {
        const incoming = await bound.listeners.at(-1)!.incoming();
        if (this.#closed) incoming.refuse();
        else this.#await(incoming);
      } catch (error) {
        if (this.#closed) return;
        this.#options.onError("incoming", error);
        await new Promise<void>((resolve) =>
          this.#options.scheduler.after(ACCEPT_RETRY_MS, resolve)
        );
      }
    }
  }

  /** Lets a connection wait for its turn. Its address cannot be asked for before, so all share one lane. */
  #await(incoming: Deno.QuicIncoming): void {
    const begin = () => void this.#begin(incoming);
    if (this.#turns === undefined) begin();
    else this.#turns.add("", { begin, refuse: () => this.#refuse(incoming) });
  }

  #refuse(incoming: Deno.QuicIncoming): void {
    try {
      incoming.refuse();
    } catch (error) {
      this.#options.onError("handshake", error);
    }
  }

  /** Takes one connection through its stages; never rejects. */
  async #begin(incoming: Deno.QuicIncoming): Promise<void> {
    const { admission } = this.#sessions;
    let connection: Deno.QuicConn;
    let carrier: QuicCarrier;
    let host: string;
    try {
      if (!admission.mayBegin()) return incoming.refuse();
      connection = incoming.accept({ zeroRtt: true });
      carrier = new QuicCarrier(connection, this.#connectionEnded);
      host = plainHost(connection.remoteAddr.hostname);
    } catch (error) {
      this.stats.handshakeFailures++;
      this.#options.onError("handshake", error);
      return;
    }
    const { monotonic } = this.#options;
    if (monotonic !== undefined && !this.#rates.take(host, monotonic.nowMs())) {
      this.stats.refused++;
      return closeQuietly(connection, "overloaded", "this address connects too fast");
    }
    if (!admission.begin(host)) {
      return closeQuietly(connection, "overloaded", "too many sessions of one address");
    }
    this.#establishing.add(connection);
    const transport = await this.#establish(connection, carrier);
    this.#establishing.delete(connection);
    if (transport === undefined) return admission.fail(host);
    const remoteAddress = addressText(connection.remoteAddr);
    this.#sessions.start(carrier, { transport, remoteAddress });
  }

  /**
   * Performs handshake and upgrade within one deadline. Returns what the connection carries;
   * `undefined` if they fail.
   */
  async #establish(
    connection: Deno.QuicConn,
    carrier: QuicCarrier,
  ): Promise<"quic" | "webtransport" | undefined> {
    let stage: "handshake" | "upgrade" = "handshake";
    const { scheduler, limits = {} } = this.#options;
    const deadline = scheduler.after(limits.handshakeMsMax ?? HANDSHAKE_MS_MAX, () => {
      this.stats.deadlines++;
      closeQuietly(connection, "deadline_exceeded", `${stage} took too long`);
    });
    try {
      await connection.handshake;
      // The promise also resolves for a failed connection; the failure is known one turn later.
      await new Promise<void>((resolve) => scheduler.nextTurn(resolve));
      if (carrier.isOver) return undefined;
      if (connection.protocol !== ALPN_HTTP3) return "quic";
      stage = "upgrade";
      carrier.upgrade(
        await acceptWebTransport(connection, () => {
          scheduler.after(WEBTRANSPORT_END_MS, () => closeQuietly(connection, undefined, ""));
        }),
      );
      return carrier.isOver ? undefined : "webtransport";
    } catch (error) {
      this.#options.onError(stage, error);
      closeQuietly(connection, "malformed", `${stage} failed`);
      return undefined;
    } finally {
      deadline.cancel();
    }
  }
}

function closeQuietly(
  connection: Deno.QuicConn,
  code: ErrorCode | undefined,
  reason: string,
): void {
  try {
    connection.close({ closeCode: code === undefined ? 0 : errorCodeToWire(code), reason });
  } catch {
    // It has ended already, which is the desired state.
  }
}

/** Binds every host to one port; with port 0 the first host chooses it. */
function bindAll(options: QuicListenOptions): Deno.QuicEndpoint[] {
  const [first, ...others] = options.hosts;
  if (first === undefined) throw new RangeError("At least one address to listen on is needed");
  for (let attempt = 1;; attempt++) {
    const endpoints = [bind(first, options.port)];
    const port = endpoints[0]!.addr.port;
    try {
      for (const host of others) {
        const endpoint = bindOptional(host, port, options.onError);
        if (endpoint !== undefined) endpoints.push(endpoint);
      }
      return endpoints;
    } catch (error) {
      for (const endpoint of endpoints) endpoint.close();
      if (options.port !== 0 || attempt === BIND_TRIES_MAX) throw error;
    }
  }
}

function bind(host: string, port: number): Deno.QuicEndpoint {
  try {
    return new Deno.QuicEndpoint({ hostname: host, port });
  } catch (error) {
    const where = `${addressText({ hostname: host, port })} by UDP`;
    const advice = error instanceof Deno.errors.AddrInUse
      ? ": stop the program that uses the port, or choose another"
      : "";
    const message = `Cannot listen on ${where} (${describe(error)})${advice}`;
    throw new RegistryError("invalid_configuration", message, { field: "port" }, error);
  }
}

/** Binds one of several addresses; one that this machine does not have is skipped. */
function bindOptional(host: string, port: number, onError: OnError): Deno.QuicEndpoint | undefined {
  try {
    return bind(host, port);
  } catch (error) {
    const cause = (error as RegistryError).cause;
    if (cause instanceof Deno.errors.AddrInUse) throw error;
    onError("bind", error);
    return undefined;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
