/**
 * Serves and attacks in one process: clients connect by h3, send nothing, SETTINGS or half a
 * request, and leave. Prints the growth of the process after garbage collection.
 */
import { issueTestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";
import { connectRaw, HTTP3_CONNECT, HTTP3_SETTINGS, sendRaw } from "../../support/raw_quic.ts";
import { until } from "../../support/until.ts";
import { listenQuic } from "../../../transport/quic_listener.ts";

const certificate = await issueTestCertificate();
const listener = listenQuic({
  hosts: ["127.0.0.1"],
  port: 0,
  certificate,
  scheduler: testWorld().scheduler,
  onError: () => {},
});

/** One socket for all clients: one for each would use more memory than the measured leak. */
const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
/** With more, the socket's buffer would overflow, and clients would wait for retransmissions. */
const CLIENTS_AT_ONCE = 10;

/** Lets clients connect and leave, and waits until the listener has finished with all of them. */
async function attack(clients: number): Promise<void> {
  const before = listener.stats.handshakeFailures;
  for (let count = 0; count < clients; count += CLIENTS_AT_ONCE) {
    await Promise.all(
      Array.from({ length: CLIENTS_AT_ONCE }, (_, index) => comeAndGo(count + index)),
    );
  }
  await until(
    "the end of all connections",
    () => listener.stats.handshakeFailures === before + clients && listener.stats.handshakes === 0,
    30_000,
  );
}

/** Returns the resident bytes after garbage collection. */
async function residentBytes(): Promise<number> {
  // Closed connections linger for a moment, and a second pass collects what the first released.
  const { gc } = globalThis as unknown as { gc(): void };
  for (let look = 0; look < 5; look++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return Deno.memoryUsage().rss;
}

async function comeAndGo(index: number): Promise<void> {
  const client = await connectRaw(listener.port, "h3", certificate, endpoint);
  // The server's SETTINGS show that it has begun to accept; from then on it could leak.
  await client.incomingUnidirectionalStreams.getReader().read();
  if (index % 8 === 1 || index % 8 === 2) {
    const control = await client.createUnidirectionalStream();
    await control.getWriter().write(HTTP3_SETTINGS);
    if (index % 8 === 2) await sendRaw(client, HTTP3_CONNECT.subarray(0, 20));
  }
  client.close();
}

const WARM_UP_CLIENTS = 400;
const clients = 400;
await attack(WARM_UP_CLIENTS);
const before = await residentBytes();
await attack(clients);
const after = await residentBytes();
console.log(JSON.stringify({ clients, grownKib: Math.round((after - before) / 1_024) }));
Deno.exit(0);
