/**
 * A listening TCP address that keeps accepting.
 *
 * On Deno 2.9.6 one moment without file descriptors ends the accept loop of a server for good: there is
 * no event, and `listening` stays true. So whenever nothing was accepted between two looks, a
 * connection is made to the address from here. If it is not accepted, twice in a row, the address is
 * bound again. A burst of connections may have taken the last descriptor, so the look after it comes
 * soon. While the process has no descriptors nothing is bound, and the next look comes soon.
 *
 * Each bind again makes the next one wait longer until something is accepted, so that a firewall which
 * drops these connections does not cause a bind at every look.
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

/** Told of an address that stopped accepting. Its methods must not throw. */
export interface AcceptObserver {
  /** Nothing is accepted until further notice: there are no descriptors, or the bind failed. */
  failing(error: unknown): void;
  /** The address was bound again. */
  reopened(): void;
  /** Connections are accepted again; called only after `failing` or `reopened`. */
  accepting(): void;
}

/** What {@link TcpAcceptor.bind} needs. */
export interface TcpAcceptorOptions {
  readonly host: string;
  /** 0 chooses a free port. */
  readonly port: number;
  /**
   * Returns a server with its handlers that does not listen yet; called for each bind. A server that
   * counts its connections calls `unlessOwn` for each: it leaves out those that are made from here.
   */
  readonly makeServer: (unlessOwn: UnlessOwn) => Server;
  readonly scheduler: Scheduler;
  readonly observer?: AcceptObserver | undefined;
}

/** Calls `take`, now or some ms later, unless the connection is the acceptor's own, which it ends. */
export type UnlessOwn = (socket: Socket, take: () => void) => void;

/** How an attempt to connect ended. */
type Probe = "accepted" | "unanswered" | "no_descriptors";

/** One address. */
export class TcpAcceptor {
  readonly #options: TcpAcceptorOptions;
  #address: AddressInfo = { address: "", family: "", port: 0 };
  /** Resolve when replaced servers and their connections are closed. */
  readonly #replaced = new Set<Promise<void>>();
  /** Connections that came while a look's own was on its way, until its port is known. */
  readonly #held = new Map<Socket, () => void>();
  #isProbing = false;
  #ownPort: number | undefined;
  #server: Server;
  /** Connections since the start, and as many of them as the last look knew. */
  #accepted = 0;
  #acceptedAtLook = 0;
  /** Binds in a row after which nothing was accepted. */
  #vainBinds = 0;
  #isTroubled = false;
  #timer: Timer | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Binds an address and starts to accept.
   *
   * @throws Error of the system where it cannot be bound.
   */
  static async bind(options: TcpAcceptorOptions): Promise<TcpAcceptor> {
    const acceptor = new TcpAcceptor(options);
    await listen(acceptor.#server, options.host, options.port);
    acceptor.#address = acceptor.#server.address() as AddressInfo;
    // The first look is at once, for `warmStackTraces`.
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

  /** The port of a look's connection is known, or never will be. */
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

  /** Brings the next look forward; one that is under way is left alone. */
  #lookSoon(): void {
    if (this.#timer === undefined || this.#closing !== undefined) return;
    this.#timer.cancel();
    this.#lookIn(ACCEPT_RETRY_MS);
  }

  /** Looks whether the address accepts, and binds it again where it does not. Never rejects. */
  async #look(): Promise<void> {
    this.#timer = undefined;
    const accepted = this.#accepted - this.#acceptedAtLook;
    let probe: Probe = accepted > 0 && accepted < ACCEPT_BURST ? "accepted" : await this.#probe();
    // A process that was stopped sees its timers before its connections: one failure proves nothing.
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

  /** Connects to the address; any connection that is accepted meanwhile will do. */
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
 * Makes Deno 2.9.6 load the source maps of the files on this stack. It does so when an error of a file
 * is first shown, and where it cannot open the map for want of descriptors, the process may end.
 */
function warmStackTraces(): void {
  void new Error().stack;
}

/** By what an unspecified address is reached. */
const LOOPBACK_OF: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

function lacksDescriptors(error: Error & { readonly code?: string }): boolean {
  return error.code === "EMFILE" || error.code === "ENFILE" || /os error 2[34]/.test(error.message);
}

/** Resolves also for a server that does not listen. */
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
