/**
 * Dials WebTransport on Node, by `@fails-components/webtransport`: over HTTP/3 where its native
 * package is installed, else over HTTP/2, which a Deno node does not serve. Believes pins only.
 */
import { CLIENT_IDLE_MS, CLIENT_KEEP_ALIVE_MS } from "../../src/base/limits.ts";
import type { Scheduler } from "../../src/base/world.ts";
import type { Dialer, DialOptions, Endpoint, OnError, Session } from "../transport.ts";
import { WebTransportDialer } from "../webtransport_dialer.ts";
import { NodeWebTransport } from "./node_webtransport.ts";
import { loadWebTransportLibrary, type WebTransportLibrary } from "./webtransport_library.ts";

/** Options of {@link NodeWebTransportDialer}. */
export interface NodeWebTransportDialerOptions {
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  readonly streamsPerSessionMax?: number;
  /** After what silence a session is given up, ms. */
  readonly idleMs?: number;
  readonly keepAliveMs?: number;
}

/** Opens WebTransport sessions from Node. */
export class NodeWebTransportDialer implements Dialer {
  readonly transport = "webtransport";
  readonly authenticatesPeers = false;
  readonly pinsServer = true;
  readonly #options: NodeWebTransportDialerOptions;
  #dialer: Promise<WebTransportDialer> | undefined;

  constructor(options: NodeWebTransportDialerOptions) {
    this.#options = options;
  }

  async dial(endpoint: Endpoint, options: DialOptions): Promise<Session> {
    this.#dialer ??= this.#load();
    return await (await this.#dialer).dial(endpoint, options);
  }

  async close(): Promise<void> {
    await (await this.#dialer)?.close();
  }

  async #load(): Promise<WebTransportDialer> {
    const library = await loadWebTransportLibrary();
    return new WebTransportDialer({
      ...this.#options,
      WebTransport: this.#constructorOf(library),
    });
  }

  /** The library's client in the form of the standard's constructor. */
  #constructorOf(library: WebTransportLibrary): typeof WebTransport {
    const { scheduler, idleMs = CLIENT_IDLE_MS, keepAliveMs = CLIENT_KEEP_ALIVE_MS } =
      this.#options;
    return class extends NodeWebTransport {
      constructor(url: string, { serverCertificateHashes = [] }: WebTransportOptions) {
        const pins = serverCertificateHashes.map(({ value }) => value as Uint8Array);
        super(library, url, pins, { scheduler, idleMs, keepAliveMs });
      }
    } as unknown as typeof WebTransport;
  }
}
