/**
 * A UDP relay between one client and one server on loopback that can be severed in each direction:
 * how tests make a peer vanish, or a handshake stall, without touching either side.
 */

/** A relay; dial its port in place of the server's. */
export class UdpRelay {
  readonly port: number;
  /** While true, what the client sends is dropped. */
  dropToServer = false;
  /** While true, what the server sends is dropped. */
  dropToClient = false;
  /** Datagrams that the client has sent. */
  fromClientCount = 0;
  readonly #front: Deno.DatagramConn;
  readonly #backs = new Map<number, Deno.DatagramConn>();
  readonly #serverPort: number;

  constructor(serverPort: number) {
    this.#serverPort = serverPort;
    this.#front = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    this.port = (this.#front.addr as Deno.NetAddr).port;
    void this.#runFront();
  }

  /** Drops everything from now on. */
  sever(): void {
    this.dropToServer = true;
    this.dropToClient = true;
  }

  /** Lets everything through again. */
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
        const back = this.#backOf((from as Deno.NetAddr).port);
        if (!this.dropToServer) await back.send(bytes, this.#address(this.#serverPort));
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
        if (!this.dropToClient) await this.#front.send(bytes, this.#address(clientPort));
      }
    } catch {
      // The relay was closed.
    }
  }

  #address(port: number): Deno.NetAddr {
    return { transport: "udp", hostname: "127.0.0.1", port };
  }
}
