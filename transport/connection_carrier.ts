/** A runtime's own connection with pairs of web streams as the carrier of a session. */
import { type Carrier, type CarrierOwner, type CloseInfo, watchClosed } from "./carrier_session.ts";
import type { BytePair } from "./carrier_stream.ts";

/** The common part of a QUIC connection of Deno and of the standard `WebTransport`. */
export interface PairConnection {
  readonly closed: Promise<CloseInfo>;
  readonly incomingBidirectionalStreams: ReadableStream<BytePair>;
  createBidirectionalStream(): Promise<BytePair>;
  close(info: { closeCode: number; reason: string }): void;
}

const NO_HEADER = new Uint8Array(0);

/** A connection whose handshake is complete. */
export class ConnectionCarrier implements Carrier {
  readonly #connection: PairConnection;

  constructor(connection: PairConnection) {
    this.#connection = connection;
  }

  get header(): Uint8Array {
    return NO_HEADER;
  }

  open(): Promise<BytePair> {
    return this.#connection.createBidirectionalStream();
  }

  incoming(): ReadableStream<BytePair> {
    return this.#connection.incomingBidirectionalStreams;
  }

  watch(owner: CarrierOwner): void {
    watchClosed(this.#connection.closed, owner);
  }

  close(closeCode: number, reason: string): void {
    this.#connection.close({ closeCode, reason });
  }
}
