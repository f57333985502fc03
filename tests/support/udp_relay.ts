/**
 * A UDP relay between clients and one server on loopback that can be severed in each direction, for all
 * clients or some, so that tests can make a peer vanish, or a handshake stall, without touching either side.
 */

/** The direction of a datagram. */
export type Towards = "server" | "client";

/** A relay; dial its port instead of the server's. */
export class UdpRelay {
  readonly port: number;
  /** While true, drops datagrams from the client. */
  dropToServer = false;
  /** While true, drops datagrams from the server. */
  dropToClient = false;
  /** Reports whether a datagram of the client at this port is lost. */
  isLost: (clientPort: number, towards: Towards) => boolean = () => false;
  /** Transit time of every datagram, ms. */
  delayMs = 0;
  /** Datagrams that the client has sent. */
  fromClientCount = 0;
  readonly #front: Deno.DatagramConn;
  readonly #backs = new Map<number, Deno.DatagramConn>();
  readonly #serverPort: number;

  /** @param port the port to listen on; 0: any. */
  constructor(serverPort: number, port = 0) {
    this.#serverPort = serverPort;
    this.#front = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });
    this.port = (this.#front.addr as Deno.NetAddr).port;
    void this.#runFront();
  }

  /** Drops all datagrams from now on. */
  sever(): void {
    this.dropToServer = true;
    this.dropToClient = true;
  }

  /** Passes all datagrams again. */
  heal(): void {
    this.dropToServer = false;
    this.dropToClient = false;
  }

  close(): void {
    this.#front.close();
    for (const back of this.#backs.values()) back.close();
  }

  async #runFront(): Promise<void> {
    try {
      for await (const [bytes, from] of this.#front) {
        this.fromClientCount++;
        const { port } = from as Deno.NetAddr;
        const back = this.#backOf(port);
        const isLost = this.dropToServer || this.isLost(port, "server");
        if (!isLost) await this.#send(back, bytes, this.#serverPort);
      }
    } catch {
      // The relay was closed.
    }
  }

  #backOf(clientPort: number): Deno.DatagramConn {
    let back = this.#backs.get(clientPort);
    if (back === undefined) {
      back = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
      this.#backs.set(clientPort, back);
      void this.#runBack(back, clientPort);
    }
    return back;
  }

  async #runBack(back: Deno.DatagramConn, clientPort: number): Promise<void> {
    try {
      for await (const [bytes] of back) {
        const isLost = this.dropToClient || this.isLost(clientPort, "client");
        if (!isLost) await this.#send(this.#front, bytes, clientPort);
      }
    } catch {
      // The relay was closed.
    }
  }

  async #send(from: Deno.DatagramConn, bytes: Uint8Array, port: number): Promise<void> {
    const to: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
    if (this.delayMs === 0) {
      await from.send(bytes, to);
      return;
    }
    // A datagram that is due after the relay was closed is treated as lost.
    setTimeout(() => from.send(bytes, to).catch(() => {}), this.delayMs);
  }
}
