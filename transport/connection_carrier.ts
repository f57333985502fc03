/** A runtime's own connection with pairs of web streams as the carrier of a session. */
import type { Carrier } from "./carrier_session.ts";
import type { BytePair } from "./carrier_stream.ts";

/** The common part of a QUIC connection of Deno and of the standard `WebTransport`. */
export interface PairConnection {
  readonly closed: Carrier["closed"];
  readonly incomingBidirectionalStreams: ReadableStream<BytePair>;
  createBidirectionalStream(): Promise<BytePair>;
  close(info: { closeCode: number; reason: string }): void;
}

const NO_HEADER = new Uint8Array(0);

/** A connection whose handshake is complete. */
export class ConnectionCarrier implements Carrier {
  readonly header: Uint8Array;
  readonly closed: Carrier["closed"];
  readonly #connection: PairConnection;

  /** @param header bytes before the preface of each stream; default: none. */
  constructor(connection: PairConnection, header = NO_HEADER) {
    this.#connection = connection;
    this.header = header;
    this.closed = connection.closed;
  }

  open(): Promise<BytePair> {
    return this.#connection.createBidirectionalStream();
  }

  incoming(): ReadableStream<BytePair> {
    return this.#connection.incomingBidirectionalStreams;
  }

  close(closeCode: number, reason: string): void {
    this.#connection.close({ closeCode, reason });
  }
}
