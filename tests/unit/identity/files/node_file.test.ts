/** `node.json`: written files can be read, anything else is refused by code and field. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import {
  type NodeFile,
  parseNodeFile,
  readNodeFile,
  removeNodeFile,
  writeNodeFile,
} from "../../../../identity/files/node_file.ts";

const NODE: NodeFile = {
  processId: 4711,
  startedAtMs: 1_780_000_000_000,
  clusterId: "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11",
  nodeId: 1,
  region: "global",
  addresses: [
    { transport: "quic", host: "127.0.0.1", port: 4443 },
    { transport: "webtransport", host: "::1", port: 4443 },
  ],
  ops: { host: "127.0.0.1", port: 9443 },
  currentPin: new Uint8Array(32).fill(1),
  nextPin: new Uint8Array(32).fill(2),
};

test("readNodeFile reads what writeNodeFile wrote, and nothing after removeNodeFile", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assert.is(readNodeFile(folder), undefined);
    writeNodeFile(folder, { ...NODE, nodeId: 7 });
    writeNodeFile(folder, NODE);
    assert.equal(readNodeFile(folder), NODE);
    removeNodeFile(folder);
    removeNodeFile(folder);
    assert.is(readNodeFile(folder), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("parseNodeFile refuses each wrong field with corrupt and its name", async () => {
  const folder = await Deno.makeTempDir();
  writeNodeFile(folder, NODE);
  const written = JSON.parse(Deno.readTextFileSync(`${folder}/node.json`));
  await Deno.remove(folder, { recursive: true });
  assert.equal(parseNodeFile(JSON.stringify(written), "node.json"), NODE);
  const cases: [string, unknown][] = [
    ["version", 2],
    ["processId", -1],
    ["startedAtMs", "now"],
    ["clusterId", ""],
    ["nodeId", 0],
    ["nodeId", 1.5],
    ["region", null],
    ["addresses", {}],
    ["addresses", new Array(17).fill(written.addresses[0])],
    ["addresses", [null]],
    ["addresses", [{ transport: "quic", host: "127.0.0.1", port: 65_536 }]],
    ["ops", []],
    ["ops", { host: "127.0.0.1" }],
    ["currentPin", "sha256:00"],
    ["nextPin", 5],
  ];
  for (const [name, value] of cases) {
    assert.throws(
      () => parseNodeFile(JSON.stringify({ ...written, [name]: value }), "node.json"),
      (error: unknown) =>
        error instanceof RegistryError && error.code === "corrupt" &&
        error.message.includes("node.json"),
      `${name}: ${JSON.stringify(value)}`,
    );
  }
  for (const text of ["", "null", "[]", "{}", '"x"', "{"]) {
    assert.throws(
      () => parseNodeFile(text, "node.json"),
      (error: unknown) => error instanceof RegistryError && error.code === "corrupt",
    );
  }
});

test.run();
