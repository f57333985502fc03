/**
 * Serves and attacks in one process: clients connect by TCP and send nothing, send junk, or begin
 * TLS without a certificate, and leave. Prints the growth of the heap after garbage collection.
 */
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { issueTestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";
import { until } from "../../support/until.ts";
import { listenTls } from "../../../transport/tls.ts";

const certificate = await issueTestCertificate();
const listener = await listenTls({
  hosts: ["127.0.0.1"],
  port: 0,
  certificate,
  clientAuthorities: [certificate.caPem],
  ...testWorld(),
  onError: () => {},
});
const target = { host: "127.0.0.1", port: listener.port };

/** Runs one client; resolves when its connection has ended. */
function comeAndGo(index: number): Promise<void> {
  return new Promise((resolve) => {
    const isTls = index % 10 === 0;
    const options = { ...target, rejectUnauthorized: false, ALPNProtocols: ["crs"] };
    const socket = isTls ? connectTls(options) : connectTcp(target);
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    socket.on("connect", () => {
      if (index % 10 < 3) socket.destroy();
      else if (!isTls) socket.write("GET / HTTP/1.1\r\n\r\n");
    });
    socket.resume();
  });
}

async function attack(clients: number): Promise<number> {
  const before = listener.stats.handshakeFailures;
  for (let count = 0; count < clients; count += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => comeAndGo(index)));
  }
  await until("all are over", () => listener.stats.handshakeFailures === before + clients, 30_000);
  const { gc } = globalThis as unknown as { gc(): void };
  for (let look = 0; look < 3; look++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return Deno.memoryUsage().heapUsed;
}

await attack(100);
const before = await attack(100);
const clients = 600;
const after = await attack(clients);
console.log(JSON.stringify({ clients, heapGrownKib: Math.round((after - before) / 1_024) }));
Deno.exit(0);
