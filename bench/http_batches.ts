/**
 * Batches of requests to an HTTP server, one on each of some connections that stay open, and the CPU time
 * that its main thread takes for a batch.
 */
import { readAnswer, requestsOf } from "./http_load.ts";

const BUFFER_BYTES = 65_536;

/** Connections to a server. */
export class HttpBatches {
  readonly #pid: number;
  readonly #sockets: readonly Deno.TcpConn[];
  readonly #buffers: readonly Uint8Array[];
  readonly #requests: readonly Uint8Array<ArrayBuffer>[];
  #next = 0;

  private constructor(
    pid: number,
    sockets: readonly Deno.TcpConn[],
    requests: readonly Uint8Array<ArrayBuffer>[],
  ) {
    this.#pid = pid;
    this.#sockets = sockets;
    this.#buffers = sockets.map(() => new Uint8Array(BUFFER_BYTES));
    this.#requests = requests;
  }

  /** Connects. @param paths those that are asked for, one after the other. */
  static async open({ port, pid, paths, connections }: {
    readonly port: number;
    readonly pid: number;
    readonly paths: readonly string[];
    readonly connections: number;
  }): Promise<HttpBatches> {
    const sockets = await Promise.all(
      Array.from({ length: connections }, () => Deno.connect({ hostname: "127.0.0.1", port })),
    );
    for (const socket of sockets) socket.setNoDelay(true);
    return new HttpBatches(pid, sockets, requestsOf(paths, port));
  }

  /** Sends batches for a time. @returns the CPU time of each, ms. @throws Error if an answer is not 200. */
  async turn(seconds: number): Promise<number[]> {
    const times: number[] = [];
    const endMs = performance.now() + seconds * 1_000;
    let cpuMs = cpuMsOf(this.#pid);
    while (performance.now() < endMs) {
      await Promise.all(this.#sockets.map((socket, at) => this.#ask(socket, this.#buffers[at]!)));
      const nowMs = cpuMsOf(this.#pid);
      times.push(nowMs - cpuMs);
      cpuMs = nowMs;
    }
    return times;
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  async #ask(socket: Deno.TcpConn, buffer: Uint8Array): Promise<void> {
    await socket.write(this.#requests[this.#next++ % this.#requests.length]!);
    await readAnswer(socket, buffer);
  }
}

/** Returns the CPU time that the main thread of a process has taken, ms (Linux). */
function cpuMsOf(pid: number): number {
  return parseInt(Deno.readTextFileSync(`/proc/${pid}/schedstat`), 10) / 1e6;
}
