/**
 * The places of an HTTP server's connections, up to a limit. When all are taken, the connection that
 * has been idle for longest makes room, so that idle connections never keep a probe out; while all are
 * busy, a further connection is dropped.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** The open connections of one server. */
export class ConnectionPlaces {
  /** Connections that wait for a request, the longest idle first. */
  readonly #idle = new Set<Socket>();
  readonly #all = new Set<Socket>();
  /** The number of requests that are not answered yet; a client may send several without waiting. */
  readonly #requests = new WeakMap<Socket, number>();
  readonly #max: number;

  /** @param max maximum number of connections. */
  constructor(max: number) {
    this.#max = max;
  }

  /** The number of open connections. */
  get count(): number {
    return this.#all.size;
  }

  /** Drops all connections. */
  closeAll(): void {
    for (const socket of this.#all) socket.destroy();
  }

  /** Drops the connections that wait for a request. */
  closeIdle(): void {
    for (const socket of this.#idle) socket.destroy();
  }

  /** Gives a connection a place, or drops it; a request of it may have come already. */
  take(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.#all.size >= this.#max) {
      const [longest] = this.#idle;
      if (longest === undefined) return void socket.destroy();
      this.#leave(longest);
      longest.destroy();
    }
    this.#all.add(socket);
    if (this.#requestsOf(socket) === 0) this.#idle.add(socket);
    socket.once("close", () => this.#leave(socket));
  }

  /** Whether all requests of a connection were answered. */
  isIdle(socket: Socket): boolean {
    return this.#requestsOf(socket) === 0;
  }

  /** Marks a connection as busy until the response, and those to its other requests, are finished. */
  busy(socket: Socket, response: ServerResponse): void {
    this.#idle.delete(socket);
    this.#requests.set(socket, this.#requestsOf(socket) + 1);
    response.once("finish", () => {
      this.#requests.set(socket, this.#requestsOf(socket) - 1);
      if (this.#requestsOf(socket) === 0 && this.#all.has(socket)) this.#idle.add(socket);
    });
  }

  #requestsOf(socket: Socket): number {
    return this.#requests.get(socket) ?? 0;
  }

  #leave(socket: Socket): void {
    this.#all.delete(socket);
    this.#idle.delete(socket);
  }
}
