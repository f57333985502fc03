/**
 * Makes V8 collect the memory of ended connections.
 *
 * An ended QUIC or TLS connection holds tens of KB of native memory until its JavaScript object is
 * collected, but the collector sees only a few hundred bytes of it: 20,000 connections that came
 * and went held 600 MB before it ran. It does count the bytes of array buffers, and starts marking
 * when many were allocated. Therefore one large buffer is allocated and dropped for every few
 * hundred ended connections. None of its pages is ever touched, so it uses no memory. The result is
 * an incremental collection, with pauses of at most 10 to 20 ms on a small heap.
 */

/** More than the 64 MiB of new array buffers at which V8 starts marking. */
const BUFFER_BYTES = 96 * 1024 * 1024;
/** Number of ended connections that are left uncollected: about 16 MB of memory. */
const CONNECTIONS_MAX = 512;

/** Counts the ended connections of one listener. */
export class CollectionTrigger {
  #ended = 0;

  /** Records the end of a connection, whatever its outcome. */
  connectionEnded(): void {
    if (++this.#ended < CONNECTIONS_MAX) return;
    this.#ended = 0;
    try {
      new ArrayBuffer(BUFFER_BYTES);
    } catch {
      // The machine does not overcommit memory; the collector runs by itself, later.
    }
  }
}
