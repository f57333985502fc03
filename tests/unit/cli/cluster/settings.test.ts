import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { SETTINGS } from "../../../../src/node/settings.ts";
import { clusterSettings, nodeFlags } from "../../../../src/cli/cluster/settings.ts";

test("clusterSettings gives each node a folder, a zone and ports of its own", () => {
  const { nodes } = clusterSettings({ nodes: "9" });
  assert.is(nodes.length, 9);
  assert.is(new Set(nodes.map(({ folder }) => folder)).size, 9);
  assert.is(new Set(nodes.map(({ zone }) => zone)).size, 9);
  const udp = nodes.flatMap(({ port, peerPort }) => [port, peerPort]);
  assert.is(new Set(udp).size, 18);
  assert.is(new Set(nodes.map(({ opsPort }) => opsPort)).size, 9);
});

test("clusterSettings uses no port of a single node by default", () => {
  const single = [SETTINGS.port, SETTINGS.peerPort, SETTINGS.tlsPort, SETTINGS.opsPort];
  const taken = single.map((setting) => setting.default as number);
  for (const { port, peerPort, opsPort } of clusterSettings({ nodes: "9" }).nodes) {
    for (const used of [port, peerPort, opsPort]) assert.not(taken.includes(used), String(used));
  }
});

test("clusterSettings refuses numbers out of bounds by the flag's name", () => {
  const wrong = [{ nodes: "0" }, { nodes: "10" }, { port: "x" }, { port: "65535" }, {
    partitions: "0",
  }];
  for (const flags of wrong) {
    const [name] = Object.keys(flags);
    assert.throws(
      () => clusterSettings(flags),
      (error: unknown) =>
        error instanceof RegistryError && error.code === "invalid_argument" &&
        error.message.startsWith(`--${name} must be an integer`),
    );
  }
});

test("nodeFlags names the shared node CA by an absolute path", () => {
  const settings = clusterSettings({ data: "./some/where", partitions: "16" });
  const flags = nodeFlags(settings.nodes[1]!, settings);
  assert.is(flags[flags.indexOf("--data") + 1], "./some/where/node-2");
  assert.ok(flags[flags.indexOf("--node-ca") + 1]!.startsWith("/"));
  assert.is(flags[flags.indexOf("--partitions") + 1], "16");
});

test.run();
