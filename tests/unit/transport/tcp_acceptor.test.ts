/** A TCP address that keeps accepting, over real sockets on loopback. */
import { connect, createServer, type Server } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ACCEPT_LOOK_MS } from "../../../src/base/limits.ts";
import type { Scheduler } from "../../../src/base/world.ts";
import { TcpAcceptor } from "../../../transport/tcp_acceptor.ts";
import { testWorld } from "../../support/production_world.ts";
import { until } from "../../support/until.ts";

const { scheduler } = testWorld();
/** Checks run every 20 ms; other timers are unchanged. */
const quick: Scheduler = {
  after: (ms, run) => scheduler.after(ms === ACCEPT_LOOK_MS ? 20 : ms, run),
  nextTurn: (run) => scheduler.nextTurn(run),
};

/** Returns an acceptor with all servers that it created, and its reports. */
async function watched() {
  const servers: Server[] = [];
  const told: string[] = [];
  let accepted = 0;
  let taken = 0;
  const acceptor = await TcpAcceptor.bind({
    host: "127.0.0.1",
    port: 0,
    makeServer: (unlessOwn) => {
      const server = createServer((socket) => {
        accepted++;
        unlessOwn(socket, () => taken++);
        socket.on("error", () => {}).resume();
      });
      servers.push(server);
      return server;
    },
    scheduler: quick,
    observer: {
      failing: () => told.push("failing"),
      reopened: () => told.push("reopened"),
      accepting: () => told.push("accepting"),
    },
  });
  return { acceptor, servers, told, accepted: () => accepted, taken: () => taken };
}

test("TcpAcceptor looks at an address that accepts, and leaves it alone", async () => {
  const { acceptor, servers, told, accepted } = await watched();
  await until("five looks", () => accepted() >= 5);
  assert.is(servers.length, 1);
  assert.equal(told, []);
  await acceptor.close();
});

test("TcpAcceptor leaves out its own connections, and no other", async () => {
  const { acceptor, accepted, taken } = await watched();
  const sockets = Array.from({ length: 20 }, () => connect(acceptor.port, "127.0.0.1"));
  await until("all are taken", () => taken() === 20);
  const before = accepted();
  await until("more looks", () => accepted() >= before + 3);
  assert.is(taken(), 20);
  for (const socket of sockets) socket.destroy();
  await acceptor.close();
});

test("TcpAcceptor binds an address again that accepts no more, and says so once", async () => {
  const { acceptor, servers, told } = await watched();
  const { port } = acceptor;
  servers[0]!.close();
  await until("it accepts again", () => told.includes("accepting"));
  assert.equal(told, ["reopened", "accepting"]);
  assert.is(acceptor.port, port);
  const socket = connect(port, "127.0.0.1");
  await until("connected", () => !socket.connecting);
  socket.destroy();
  await acceptor.close();
});

test("TcpAcceptor says that it fails while another has the port, and returns after it", async () => {
  const { acceptor, servers, told } = await watched();
  const thief = createServer((socket) => socket.destroy());
  servers[0]!.close();
  await until("the port is another's", () =>
    new Promise((resolve) => {
      thief.once("error", () => resolve(false));
      thief.listen({ host: "127.0.0.1", port: acceptor.port }, () => resolve(true));
    }));
  // Connections to it are not ours.
  await until("it fails", () => told.includes("failing"));
  thief.close();
  await until("it accepts again", () => told.includes("accepting"));
  await acceptor.close();
});

test("TcpAcceptor.close ends its looks and frees the port", async () => {
  const { acceptor, servers } = await watched();
  await acceptor.close();
  assert.is(servers[0]!.listening, false);
  assert.is(acceptor.close(), acceptor.close());
});

test.run();
