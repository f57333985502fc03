/** A UDP relay on loopback that counts what passes, so that other traffic of the machine does not matter. */

/** Size of the headers of IPv4 and UDP, bytes. */
const HEADERS_BYTES = 28;

/** A relay to one server; dial its port instead of the server's. */
export class CountingRelay {
  readonly port: number;
  /** Bytes of datagrams in both directions, headers included, and their number. */
  bytes = 0;
  datagrams = 0;
  readonly #front: Deno.DatagramConn;
  readonly #backs = new Map<number, Deno.DatagramConn>();
  readonly #serverPort: number;
  #isClosed = false;

  constructor(serverPort: number) {
    this.#serverPort = serverPort;
    this.#front = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    this.port = (this.#front.addr as Deno.NetAddr).port;
    void this.#forward();
  }

  close(): void {
    this.#isClosed = true;
    this.#front.close();
    for (const back of this.#backs.values()) back.close();
  }

  async #forward(): Promise<void> {
    try {
      for await (const [bytes, from] of this.#front) {
        await this.#pass(this.#backOf((from as Deno.NetAddr).port), bytes, this.#serverPort);
      }
    } catch (error) {
      // Closing ends the reads and writes in progress; any other failure would make the counts wrong.
      if (!this.#isClosed) throw error;
    }
  }

  #backOf(clientPort: number): Deno.DatagramConn {
    let back = this.#backs.get(clientPort);
    if (back === undefined) {
      back = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
      this.#backs.set(clientPort, back);
      void this.#answer(back, clientPort);
    }
    return back;
  }

  async #answer(back: Deno.DatagramConn, clientPort: number): Promise<void> {
    try {
      for await (const [bytes] of back) await this.#pass(this.#front, bytes, clientPort);
    } catch (error) {
      if (!this.#isClosed) throw error;
    }
  }

  async #pass(by: Deno.DatagramConn, bytes: Uint8Array, port: number): Promise<void> {
    this.bytes += bytes.length + HEADERS_BYTES;
    this.datagrams++;
    await by.send(bytes, { transport: "udp", hostname: "127.0.0.1", port });
  }
}
