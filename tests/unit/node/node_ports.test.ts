/** The addresses that a node publishes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { describeNode } from "../../../src/node/cluster_peers.ts";
import { type NodeConfig, resolveConfig } from "../../../src/node/config.ts";
import { dialedAddresses } from "../../../src/node/node_ports.ts";

const BOUND = { udp: [{ host: "0.0.0.0", port: 4_443 }], tcp: [{ host: "0.0.0.0", port: 4_444 }] };
const PIN = new Uint8Array(32);

function configOf(flags: Readonly<Record<string, unknown>>): NodeConfig {
  return resolveConfig({ flags, environment: {} });
}

function published(config: NodeConfig): string[] {
  const clientAddresses = dialedAddresses(config, BOUND);
  const { addresses } = describeNode(config, {
    folderId: new Uint8Array(16),
    clusterId: new Uint8Array(16),
    certificates: { current: { pin: PIN }, next: { pin: PIN } } as never,
    clientAddresses,
    peerPort: 4_445,
  });
  return addresses.map(({ transport, host, port }) => `${transport} ${host}:${port}`);
}

test("describeNode publishes the advertised hosts with the ports that are bound", () => {
  const config = configOf({ authority: "a", host: "0.0.0.0", advertise: "a.example", tls: "on" });
  assert.equal(published(config), [
    "quic a.example:4443",
    "webtransport a.example:4443",
    "tls a.example:4444",
    "peer a.example:4445",
  ]);
});

test("describeNode publishes the ports that are forwarded to those of the node", () => {
  const ports = { advertisePort: 443, advertiseTlsPort: 8_443, advertisePeerPort: 9_443 };
  const config = configOf({ authority: "a", host: "0.0.0.0", advertise: "a.example", ...ports });
  assert.equal(published(config), [
    "quic a.example:443",
    "webtransport a.example:443",
    "tls a.example:8443",
    "peer a.example:9443",
  ]);
  const development = configOf({ advertisePeerPort: 9_443, webtransport: "off" });
  assert.equal(published(development).filter((address) => address.startsWith("peer")), [
    "peer 127.0.0.1:9443",
  ]);
});

test.run();
