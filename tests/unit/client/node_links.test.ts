/** The links to the nodes of a cluster: their number, and the addresses they dial. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CLIENT_NODES_MAX } from "../../../src/base/limits.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import type { CallQueue, CallQueueOwner } from "../../../src/client/call_queue.ts";
import type { Connection } from "../../../src/client/connection.ts";
import { NodeLinks } from "../../../src/client/node_links.ts";
import type { RingNode } from "../../../src/ring/ring_map.ts";
import type { Dialer } from "../../../transport/transport.ts";
import { FakeRegistry, HOST, PORT } from "./fake_registry.ts";

const OWNER: CallQueueOwner = {
  reads: { sent: () => {}, replied: () => {} },
  ringMap: () => {},
  refused: () => false,
  lost: () => false,
  answeredAfterDetour: () => {},
  ending: () => {},
  ended: () => {},
  waitingBeside: () => 0,
};

function nodeOf(nodeId: number, transports = ["quic"]): RingNode {
  const addresses = transports.map((transport) => ({ transport, host: `n${nodeId}`, port: PORT }));
  return { nodeId, addresses, currentPin: new Uint8Array(0), nextPin: new Uint8Array(0), zone: "" };
}

function linksOver(
  registry: FakeRegistry,
  dialer: Dialer,
  find: (nodeId: number) => RingNode | undefined = nodeOf,
  owner: CallQueueOwner = OWNER,
): NodeLinks {
  return new NodeLinks({
    endpoints: [{ host: HOST, port: PORT }],
    dialer,
    trust: { kind: "pins", sha256: [] },
    credentials: { kind: "development" },
    world: registry.world,
    hello: {
      versionMin: 1,
      versionMax: 1,
      features: 0,
      clusterId: new Uint8Array(16),
      region: "",
      agent: "test",
    },
    inFlightMax: 8,
    nodeSilenceMs: 300,
    nodeOf: find,
    onEvent: () => {},
    onDown: () => {},
  }, owner);
}

test("NodeLinks connects to a limited number of nodes, and drops the one idle for longest", async () => {
  const registry = new FakeRegistry();
  const links = linksOver(registry, registry.network.dialer("client"));
  for (let nodeId = 1; nodeId <= CLIENT_NODES_MAX + 6; nodeId++) {
    const link = links.to(nodeId);
    assert.ok(link);
    link.usedAtMs = nodeId === 3 ? 1e12 : nodeId;
  }
  const ids = [...links].map(({ nodeId }) => nodeId);
  assert.is(ids.length, 1 + CLIENT_NODES_MAX);
  assert.is(ids.includes(1), false);
  assert.is(ids.includes(3), true);
  await registry.wait(links.close(new RegistryError("shutting_down", "The test is over")));
  assert.is(registry.time.timerCount, 0);
});

test("NodeLinks dials the addresses of its own transport only", async () => {
  const registry = new FakeRegistry();
  const memory = registry.network.dialer("client");
  const dialed: string[] = [];
  const dialer: Dialer = {
    transport: "tls",
    authenticatesPeers: false,
    pinsServer: true,
    dial: (endpoint, options) => {
      dialed.push(endpoint.host);
      return memory.dial(endpoint, options);
    },
    close: () => memory.close(),
  };
  const nodes = new Map([
    [1, nodeOf(1, ["quic", "webtransport"])],
    [3, nodeOf(3, ["quic", "tls"])],
  ]);
  const links = linksOver(registry, dialer, (nodeId) => nodes.get(nodeId));
  assert.is(links.to(1), undefined);
  assert.is(links.to(2), undefined);
  assert.ok(links.to(3));
  await registry.settle();
  assert.equal(dialed, ["n3"]);
  await registry.wait(links.close(new RegistryError("shutting_down", "The test is over")));
});

test("NodeLinks.isUp reports a node while one of two connections to it is left", async () => {
  const given = new FakeRegistry();
  const second = new FakeRegistry(given, "n2");
  second.nodeId = 2;
  const owner = {
    ...OWNER,
    ending: (queue: CallQueue) => links.lose(queue),
    ended: (connection: Connection, error: RegistryError) => links.ended(connection, error),
  };
  const links: NodeLinks = linksOver(given, given.network.dialer("client"), nodeOf, owner);
  const reconnect = async (nodeId: number) => {
    given.nodeId = nodeId;
    given.sessions.at(-1)!.drop();
    await given.pass(200);
    assert.is(links.seed.calls.nodeId, nodeId);
  };
  links.seed.link.start();
  links.to(2);
  await given.settle();
  await reconnect(2);
  await reconnect(1);
  assert.ok(links.to(2)?.calls.isConnected);
  assert.ok(links.isUp(2));
  await given.wait(links.close(new RegistryError("shutting_down", "The test is over")));
});

test.run();
