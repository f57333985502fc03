/** `crs cluster upgrade status` over nodes in memory, which run different programs. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { MemberStatus, UpgradeStatusReply } from "../../../../schemas/gen/wire.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { upgradeStatus } from "../../../../src/cli/actions/upgrade_status.ts";
import type { Shell } from "../../../../src/cli/shell.ts";
import { FakeClient } from "../../../support/fake_client.ts";
import { FakeTerminal } from "../../../support/fake_terminal.ts";

const NEW: Omit<UpgradeStatusReply, "nodeId"> = {
  program: "0.2.0",
  applyVersion: 14,
  applyVersionMax: 15,
  governedVersion: 1,
  clientVersionMin: 2,
  clientVersionMax: 3,
  peerVersionMin: 1,
  peerVersionMax: 1,
  files: [{ name: "log", version: 1 }],
  partitions: [{ applyVersion: 1, count: 15 }, { applyVersion: 12, count: 1 }],
  features: [{ applyVersion: 15, name: "program versions of members" }],
  members: [1, 2, 3].map((nodeId) => ({
    nodeId,
    applyVersionMax: nodeId === 1 ? 15 : 14,
    isConnected: nodeId !== 3,
    peerVersion: nodeId === 2 ? 1 : 0,
    program: "",
  })),
};

function member(nodeId: number): MemberStatus {
  return {
    nodeId,
    zone: "",
    host: "",
    addresses: [{ transport: "quic", host: "127.0.0.1", port: 4_450 + nodeId }],
    currentPin: new Uint8Array(0),
    nextPin: new Uint8Array(0),
    isConnected: true,
    departure: 0,
    roundTripUs: 500,
    laggingCount: 0,
    lagEntriesMax: 0,
  };
}

/** Node 1 runs the new program, node 2 one that does not know the operation, node 3 gives no answer. */
function answerOf(nodeId: number, name: string, own: typeof NEW): unknown {
  if (nodeId === 3) throw new RegistryError("connection_lost", "There is nobody");
  if (name === "clusterStatus") {
    return {
      nodeId,
      clusterId: new Uint8Array(16).fill(7),
      version: nodeId === 1 ? "0.2.0" : "0.1.0",
      members: [1, 2, 3].map(member),
    };
  }
  if (nodeId === 2) throw new RegistryError("unknown_operation", "There is no operation 55");
  return { ...own, nodeId };
}

async function run(flags = {}, own = NEW) {
  const terminal = new FakeTerminal({});
  const shell: Shell = {
    terminal,
    connect: ({ server }) => {
      const nodeId = server === undefined ? 1 : Number(server.at(-1));
      const call = (name: string) => Promise.try(() => answerOf(nodeId, name, own));
      return Promise.resolve({
        client: new FakeClient({ call }).client,
        endpoints: [],
        timeoutMs: 1_000,
        region: "global",
        close: () => Promise.resolve(),
      });
    },
  };
  const code = await upgradeStatus(flags, shell);
  return { code, stdout: terminal.stdout };
}

test("upgradeStatus shows what is not switched on, and for which nodes it waits", async () => {
  const { code, stdout } = await run();
  assert.is(code, 0);
  assert.match(stdout, /1 +0\.2\.0 +up +15 +2 to 3 +1\n/);
  assert.match(stdout, /2 +0\.1\.0 +up +14 +- +-\n/);
  assert.match(stdout, /3 +- +no answer \(connection_lost\) +14 +- +-\n/);
  assert.match(stdout, /partitions +15 replicas at 1, 1 replica at 12;/);
  assert.match(
    stdout,
    /not switched on +program versions of members \(15\) waits for a newer program on node 2, 3\n/,
  );
});

test("upgradeStatus prints the same as a document", async () => {
  const { applyVersion, waiting, nodes } = JSON.parse((await run({ json: true })).stdout);
  assert.is(applyVersion, 14);
  assert.equal(waiting, [{ ...NEW.features[0], waitsFor: [2, 3] }]);
  const [one, two, three] = nodes;
  assert.equal(one.protocols, { clients: { min: 2, max: 3 }, nodes: { min: 1, max: 1 } });
  assert.equal(one.links, [{ nodeId: 2, version: 1 }, { nodeId: 3, version: null }]);
  assert.equal([two.program, two.applyVersionMax, two.protocols], ["0.1.0", 14, null]);
  assert.equal([three.answered, three.error.code], [false, "connection_lost"]);
});

test("upgradeStatus says that nothing waits once all is switched on", async () => {
  const members = NEW.members.map((one) => ({ ...one, applyVersionMax: 15 }));
  const { stdout } = await run({}, { ...NEW, applyVersion: 15, features: [], members });
  assert.match(stdout, /apply version +15\n/);
  assert.match(stdout, /not switched on +nothing\n/);
});

test.run();
