/**
 * Serves and attacks in one process: clients connect by h3, send nothing, SETTINGS or half a request,
 * and go. Prints by how much the process has grown after the garbage was collected.
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

/** One socket for all clients: each of its own would take more than what is looked for. */
const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });

async function attack(clients: number): Promise<number> {
  const before = listener.stats.handshakeFailures;
  for (let count = 0; count < clients; count += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => comeAndGo(index)));
  }
  await until(
    "all are over",
    () => listener.stats.handshakeFailures === before + clients && listener.stats.handshakes === 0,
    30_000,
  );
  // Closed connections linger for a moment, and a second look collects what the first let go.
  const { gc } = globalThis as unknown as { gc(): void };
  for (let look = 0; look < 5; look++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return Deno.memoryUsage().rss;
}

async function comeAndGo(index: number): Promise<void> {
  const client = await connectRaw(listener.port, "h3", certificate, endpoint);
  if (index % 8 === 1 || index % 8 === 2) {
    const control = await client.createUnidirectionalStream();
    await control.getWriter().write(HTTP3_SETTINGS);
    if (index % 8 === 2) await sendRaw(client, HTTP3_CONNECT.subarray(0, 20));
  }
  client.close();
}

const CLIENTS_AT_ONCE = 300;
await attack(CLIENTS_AT_ONCE);
const before = await attack(CLIENTS_AT_ONCE);
let after = before;
for (let round = 0; round < 3; round++) after = await attack(CLIENTS_AT_ONCE);
const clients = 3 * CLIENTS_AT_ONCE;
console.log(JSON.stringify({ clients, grownKib: Math.round((after - before) / 1_024) }));
Deno.exit(0);
