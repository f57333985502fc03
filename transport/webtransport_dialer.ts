/**
 * Dials WebTransport through the standard `WebTransport` of a browser or of Deno; no other runtime
 * feature is used here.
 *
 * Differences from raw QUIC, caused by the runtimes: They control the timers (Deno sends a
 * keep-alive every 4 s and gives up after 10 s). Deno accepts pins only, ignores other roots, and
 * cannot dial a literal IPv6 address. The peer may never notice an `abort` of a stream
 * (denoland/deno#36822). A browser's close does not end the connection, so a server learns of it
 * from a goodbye frame or only after the idle time. A canceled attempt continues until it succeeds
 * or fails by itself.
 */
import { RegistryError } from "../src/base/errors.ts";
import type { Scheduler } from "../src/base/world.ts";
import { ignore } from "./carrier_stream.ts";
import { ConnectionCarrier } from "./connection_carrier.ts";
import { type CarriedConnection, ConnectionDialer } from "./connection_dialer.ts";
import type { Dialer, Endpoint, OnError, Trust } from "./transport.ts";

/** Parameters of a {@link WebTransportDialer}. */
export interface WebTransportDialerOptions {
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  readonly streamsPerSessionMax?: number;
  /** The constructor of another implementation. Default: the global one. */
  readonly WebTransport?: typeof WebTransport;
}

/** A dialer of WebTransport sessions. */
export class WebTransportDialer extends ConnectionDialer<WebTransport> implements Dialer {
  readonly transport = "webtransport";
  readonly authenticatesPeers = false;
  readonly pinsServer = true;
  readonly #options: WebTransportDialerOptions;

  constructor(options: WebTransportDialerOptions) {
    super(options);
    this.#options = options;
  }

  protected override carry(connection: WebTransport, endpoint: Endpoint): CarriedConnection {
    return {
      carrier: new ConnectionCarrier(connection),
      transport: "webtransport",
      remoteAddress: authorityOf(endpoint),
    };
  }

  protected override async connect(endpoint: Endpoint, trust: Trust): Promise<WebTransport> {
    const Constructor = this.#options.WebTransport ?? globalThis.WebTransport;
    if (Constructor === undefined) {
      throw new RegistryError("invalid_argument", "This runtime has no WebTransport");
    }
    const url = `https://${authorityOf(endpoint)}/`;
    const connection = new Constructor(url, webTransportOptions(trust));
    connection.closed.catch(ignore);
    await connection.ready;
    return connection;
  }
}

function authorityOf({ host, port }: Endpoint): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function webTransportOptions(trust: Trust): WebTransportOptions {
  if (trust.kind === "pins") {
    const serverCertificateHashes = trust.sha256.map((hash) => ({
      algorithm: "sha-256",
      value: hash.slice() as Uint8Array<ArrayBuffer>,
    }));
    return { serverCertificateHashes };
  }
  if (trust.pem.length > 0) {
    const message = "WebTransport accepts pins or the runtime's own roots: a CA cannot be used";
    throw new RegistryError("invalid_argument", message, { field: "trust" });
  }
  return {};
}
