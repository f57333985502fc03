/**
 * Makes V8 collect what connections leave behind.
 *
 * A QUIC or TLS connection that is over holds tens of KB of native memory until its JavaScript object
 * is collected, and of those the collector sees some hundred bytes: 20,000 connections that came and
 * went held 600 MB before it looked. It counts the bytes of array buffers, though, and begins to mark
 * when many were made. So for every few hundred connections that ended, one large buffer is made and
 * dropped. No page of it is ever touched, so it takes no memory; what follows is an incremental
 * collection, with pauses of 10 to 20 ms at most on a small heap.
 */

/** More than the 64 MiB of new array buffers from which V8 begins to mark. */
const BUFFER_BYTES = 96 * 1024 * 1024;
/** Connections over which nothing is done: some 16 MB of what they hold. */
const CONNECTIONS_MAX = 512;

/** Counts the connections of one listener that ended. */
export class UnseenMemory {
  #ended = 0;

  /** A connection is over, whatever became of it. */
  connectionEnded(): void {
    if (++this.#ended < CONNECTIONS_MAX) return;
    this.#ended = 0;
    try {
      new ArrayBuffer(BUFFER_BYTES);
    } catch {
      // A machine that promises no memory beyond what it has: the collector comes by itself, later.
    }
  }
}
