/**
 * A listening TCP address that keeps accepting.
 *
 * On Deno 2.9.6, running out of file descriptors once ends the accept loop of a server permanently:
 * there is no event, and `listening` stays true. Therefore, if nothing was accepted between two
 * checks, a connection is made to the address from here. If it is not accepted twice in a row, the
 * address is bound again. A burst of connections may have taken the last descriptor, so the check
 * after a burst comes soon. While the process has no descriptors nothing is bound, and the next
 * check comes soon.
 *
 * Each rebind increases the delay of the next one until something is accepted, so that a firewall
 * that drops these connections does not cause a rebind at every check.
 */
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import {
  ACCEPT_BURST,
  ACCEPT_LOOK_MS,
  ACCEPT_LOOK_MS_MAX,
  ACCEPT_PROBE_MS,
  ACCEPT_RETRY_MS,
} from "../src/base/limits.ts";
import type { Scheduler, Timer } from "../src/base/world.ts";

/** An observer of an address that stops accepting. Its methods must not throw. */
export interface AcceptObserver {
  /** Nothing is accepted for now: there are no descriptors, or the bind failed. */
  failing(error: unknown): void;
  /** The address was bound again. */
  reopened(): void;
  /** Connections are accepted again; called only after `failing` or `reopened`. */
  accepting(): void;
}

/** Parameters of {@link TcpAcceptor.bind}. */
export interface TcpAcceptorOptions {
  readonly host: string;
  /** The port; 0 chooses a free one. */
  readonly port: number;
  /**
   * Returns a server with its handlers that does not listen yet; called for each bind. A server
   * that counts its connections calls `unlessOwn` for each, which excludes those made from here.
   */
  readonly makeServer: (unlessOwn: UnlessOwn) => Server;
  readonly scheduler: Scheduler;
  readonly observer?: AcceptObserver | undefined;
}

/**
 * Calls `take`, now or some ms later, unless the connection is the acceptor's own, which is closed.
 */
export type UnlessOwn = (socket: Socket, take: () => void) => void;

/** The outcome of a connection attempt. */
type Probe = "accepted" | "unanswered" | "no_descriptors";

/** The acceptor of one address. */
export class TcpAcceptor {
  readonly #options: TcpAcceptorOptions;
  #address: AddressInfo = { address: "", family: "", port: 0 };
  /** Promises that resolve when replaced servers and their connections are closed. */
  readonly #replaced = new Set<Promise<void>>();
  /** Connections that arrived during a probe, held until the probe's local port is known. */
  readonly #held = new Map<Socket, () => void>();
  #isProbing = false;
  #ownPort: number | undefined;
  #server: Server;
  /** Connections since the start, and their number at the last check. */
  #accepted = 0;
  #acceptedAtLook = 0;
  /** Consecutive binds after which nothing was accepted. */
  #vainBinds = 0;
  #isTroubled = false;
  #timer: Timer | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Binds an address and starts accepting.
   *
   * @throws Error of the system if it cannot be bound.
   */
  static async bind(options: TcpAcceptorOptions): Promise<TcpAcceptor> {
    const acceptor = new TcpAcceptor(options);
    await listen(acceptor.#server, options.host, options.port);
    acceptor.#address = acceptor.#server.address() as AddressInfo;
    // The first check is immediate, for `warmStackTraces`.
    acceptor.#lookIn(0);
    return acceptor;
  }

  private constructor(options: TcpAcceptorOptions) {
    this.#options = options;
    this.#server = this.#newServer();
  }

  get host(): string {
    return this.#address.address;
  }

  get port(): number {
    return this.#address.port;
  }

  /** Stops listening; resolves when all connections are closed. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    await Promise.all([closed(this.#server), ...this.#replaced]);
  }

  #newServer(): Server {
    const server = this.#options.makeServer((socket, take) => this.#unlessOwn(socket, take));
    server.on("connection", () => {
      this.#accepted++;
      this.#vainBinds = 0;
      if (this.#accepted - this.#acceptedAtLook === ACCEPT_BURST) this.#lookSoon();
    });
    return server;
  }

  #unlessOwn(socket: Socket, take: () => void): void {
    if (this.#isProbing && this.#ownPort === undefined) {
      socket.on("error", () => socket.destroy());
      this.#held.set(socket, take);
    } else if (socket.remotePort === this.#ownPort) socket.destroy();
    else take();
  }

  /** Releases the held connections, once the probe's port is known or never will be. */
  #releaseHeld(): void {
    for (const [socket, take] of this.#held) {
      if (socket.remotePort === this.#ownPort) socket.destroy();
      else take();
    }
    this.#held.clear();
  }

  #lookIn(delayMs: number): void {
    this.#timer = this.#options.scheduler.after(delayMs, () => void this.#look());
  }

  /** Brings the next check forward, unless one is in progress. */
  #lookSoon(): void {
    if (this.#timer === undefined || this.#closing !== undefined) return;
    this.#timer.cancel();
    this.#lookIn(ACCEPT_RETRY_MS);
  }

  /** Checks whether the address accepts, and binds it again if not. Never rejects. */
  async #look(): Promise<void> {
    this.#timer = undefined;
    const accepted = this.#accepted - this.#acceptedAtLook;
    let probe: Probe = accepted > 0 && accepted < ACCEPT_BURST ? "accepted" : await this.#probe();
    // A process that was stopped sees its timers before its connections: one failure proves
    // nothing.
    if (probe === "unanswered") probe = await this.#probe();
    this.#acceptedAtLook = this.#accepted;
    if (this.#closing !== undefined) return;
    if (probe === "accepted") {
      if (this.#isTroubled) this.#options.observer?.accepting();
      this.#isTroubled = false;
      return this.#lookIn(ACCEPT_LOOK_MS);
    }
    this.#isTroubled = true;
    const backoffMs = Math.min(ACCEPT_RETRY_MS * 2 ** this.#vainBinds, ACCEPT_LOOK_MS_MAX);
    try {
      if (probe === "no_descriptors") throw new Error("The process has no file descriptors left");
      await this.#bindAgain();
    } catch (error) {
      this.#options.observer?.failing(error);
    }
    if (this.#closing === undefined) this.#lookIn(backoffMs);
  }

  async #bindAgain(): Promise<void> {
    const { observer } = this.#options;
    const replaced = closed(this.#server);
    this.#replaced.add(replaced);
    void replaced.then(() => this.#replaced.delete(replaced));
    const server = this.#newServer();
    // Closed with the acceptor, even if that happens during the bind.
    this.#server = server;
    await listen(server, this.host, this.port);
    this.#vainBinds++;
    if (this.#closing === undefined) observer?.reopened();
    else server.close();
  }

  /** Connects to the address; any connection accepted meanwhile counts as success. */
  async #probe(): Promise<Probe> {
    this.#isProbing = true;
    this.#ownPort = undefined;
    warmStackTraces();
    const host = LOOPBACK_OF[this.host] ?? this.host;
    const socket = connect({ host, port: this.port });
    const probe = await this.#outcome(socket);
    socket.destroy();
    this.#isProbing = false;
    this.#releaseHeld();
    return probe;
  }

  #outcome(socket: Socket): Promise<Probe> {
    const server = this.#server;
    return new Promise((resolve) => {
      let isAccepted = false;
      const end = (probe: Probe) => {
        deadline.cancel();
        server.off("connection", accept);
        resolve(probe);
      };
      const accept = () => {
        isAccepted = true;
        if (this.#ownPort !== undefined) end("accepted");
      };
      const unanswered = () => end(isAccepted ? "accepted" : "unanswered");
      const deadline = this.#options.scheduler.after(ACCEPT_PROBE_MS, unanswered);
      server.on("connection", accept);
      socket.on("connect", () => {
        this.#ownPort = socket.localPort;
        this.#releaseHeld();
        if (isAccepted) end("accepted");
      });
      socket.on("error", (error) => lacksDescriptors(error) ? end("no_descriptors") : unanswered());
    });
  }
}

/**
 * Makes Deno 2.9.6 load the source maps of the files on this stack. It otherwise does so when an
 * error of a file is first shown, and if it cannot open the map for lack of descriptors, the
 * process may end.
 */
function warmStackTraces(): void {
  void new Error().stack;
}

/** The loopback address by which an unspecified address is reached. */
const LOOPBACK_OF: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

function lacksDescriptors(error: Error & { readonly code?: string }): boolean {
  return error.code === "EMFILE" || error.code === "ENFILE" || /os error 2[34]/.test(error.message);
}

/** Closes a server; also resolves if it is not listening. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
