/**
 * Measures 5,000 readers of the governed plane's events over HTTP, one of which takes nothing: the time
 * from the request to apply a descriptor until each of the others has its event, and the memory that a
 * reader costs the front, beside that of an open stream of a bare server.
 *
 * The readers are sockets of this process, which shares the cores: the times are upper bounds.
 */
import { connect, type Socket } from "node:net";
import { descriptorOf, govern } from "./governed_fleet.ts";
import type { ResultFile } from "./harness.ts";
import { type HttpServer, startBareServer, startFront } from "./http_servers.ts";
import { LatencyHistogram } from "./latency.ts";
import { until } from "./cluster/polling.ts";
import { RegistryServer } from "./registry.ts";
import { settledBytes } from "./settled.ts";

const READERS = 5_000;
const EVENTS = 40;
/** Sockets that are opened at once. */
const OPENING_MAX = 64;
const MS_MAX = 60_000;
const EVENT = "event: registry.update";

/** Readers of one server. */
class Readers {
  /** Called with each event. */
  onEvent: () => void = () => {};
  readonly #sockets: Socket[] = [];

  /** Opens so many streams; resolves when each has its head. */
  async open(port: number, count: number): Promise<void> {
    let next = 0;
    const opener = async () => {
      while (next < count) {
        next++;
        await this.#open(port);
      }
    };
    await Promise.all(Array.from({ length: OPENING_MAX }, opener));
  }

  /** Has one of them take nothing any more. */
  stopOne(): void {
    this.#sockets[0]!.pause();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      this.#sockets.push(socket);
      socket.on("error", reject);
      socket.setEncoding("latin1");
      socket.write(
        "GET /v1/registry/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n",
      );
      socket.on("data", (data) => {
        const text = String(data);
        if (text.includes(EVENT)) this.onEvent();
        else if (text.startsWith("HTTP/1.1 200")) resolve();
        else if (text.startsWith("HTTP/1.1")) reject(new Error(text.slice(0, 200)));
      });
    });
  }
}

/** Measures the readers. */
export async function benchHttpReaders(file: ResultFile): Promise<void> {
  const bare = await bareBytes();
  const server = await RegistryServer.start({ flags: ["--partitions", "64"] });
  let front: HttpServer | undefined;
  const readers = new Readers();
  try {
    const client = await server.connect();
    await govern(client);
    front = await startFront(server.folder);
    const before = await settledBytes(front.process);
    await readers.open(front.port, READERS);
    const each = (await settledBytes(front.process) - before) / READERS;
    readers.stopOne();
    const times = new LatencyHistogram();
    let startMs = 0;
    let events = 0;
    readers.onEvent = () => {
      events++;
      times.record((performance.now() - startMs) * 1_000);
    };
    for (let number = 0; number < EVENTS; number++) {
      const { payload, signatures } = await descriptorOf(number);
      const { proposal } = await client.governed.propose(payload, signatures);
      events = 0;
      startMs = performance.now();
      await client.governed.apply(proposal);
      await until(
        "all but one have the event",
        () => Promise.resolve(events >= READERS - 1),
        MS_MAX,
      );
    }
    file.write({
      bench: "http readers",
      readers: READERS,
      events: EVENTS,
      p50Ms: Math.round(times.percentileUs(50)) / 1_000,
      p99Ms: Math.round(times.percentileUs(99)) / 1_000,
      bytesPerReader: Math.round(each),
      bareBytes: Math.round(bare),
      bytesRatio: Math.round(each / bare * 100) / 100,
    });
    await client.close();
  } finally {
    readers.close();
    await front?.process.stop();
    await server.stop();
  }
}

/** Returns the memory of an open stream of a bare server, bytes. */
async function bareBytes(): Promise<number> {
  const bare = await startBareServer(100);
  const readers = new Readers();
  try {
    const before = await settledBytes(bare.process);
    await readers.open(bare.port, READERS);
    return (await settledBytes(bare.process) - before) / READERS;
  } finally {
    readers.close();
    await bare.process.stop("SIGKILL");
  }
}
