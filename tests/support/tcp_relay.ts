/**
 * A relay between TCP clients and a server that can be severed: connections stay open but pass no
 * bytes, as when a cable is pulled.
 */
import net from "node:net";

/** A relay that listens on a free loopback port. */
export class TcpRelay {
  readonly port: number;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #severed = false;

  private constructor(server: net.Server, targetPort: number) {
    this.#server = server;
    this.port = (server.address() as net.AddressInfo).port;
    server.on("connection", (near: net.Socket) => {
      const far = net.connect(targetPort, "127.0.0.1");
      this.#join(near, far);
      this.#join(far, near);
    });
  }

  /** Starts a relay in front of `targetPort`. */
  static async listen(targetPort: number): Promise<TcpRelay> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    return new TcpRelay(server, targetPort);
  }

  /** Stops passing bytes; neither side is told that the other is gone. */
  sever(): void {
    this.#severed = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Passes bytes again. */
  heal(): void {
    this.#severed = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #join(from: net.Socket, to: net.Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    if (this.#severed) from.pause();
    from.on("data", (chunk) => {
      if (!to.write(chunk)) {
        from.pause();
        to.once("drain", () => {
          if (!this.#severed) from.resume();
        });
      }
    });
    if (this.#severed) from.pause();
    from.on("end", () => to.end());
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      if (!this.#severed) to.end();
    });
  }
}
