/** Nodes that are to join a cluster with wrong settings are refused by a code, and change nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { startCrs } from "../support/crs_process.ts";

const WRONG_PIN = `sha256:${"ab".repeat(32)}`;

test("crs start --join refuses wrong settings, each by its code", async () => {
  const folder = await Deno.makeTempDir();
  const common = ["--peer-port", "0", "--node-ca", `${folder}/node-ca`, "--log-level", "error"];
  const first = await startCrs(`${folder}/1`, {
    flags: [...common, "--partitions", "16", "--zone", "a", "--found"],
  });
  try {
    const { currentPin } = JSON.parse(await Deno.readTextFile(`${folder}/1/node.json`));
    const { host, port } = first.node.addresses[0]!;
    const join = async (number: number, pin: string, ...flags: string[]) => {
      const { code, stdout } = await crsInProcess([
        ...["start", "--data", `${folder}/${number}`, "--port", "0", "--ops-port", "0", "--json"],
        ...[...common, "--join", `${host}:${port}`, "--pin", pin, ...flags],
      ]);
      const { error } = JSON.parse(stdout);
      return `${code} ${error.code} ${error.message}`;
    };
    const refusals = await Promise.all([
      join(2, currentPin, "--partitions", "32"),
      join(3, currentPin, "--partitions", "16", "--region", "other"),
      join(4, currentPin, "--partitions", "16"),
      join(5, currentPin, "--partitions", "16", "--zone", "b", "--node-id", "1"),
      join(6, WRONG_PIN, "--partitions", "16"),
    ]);
    assert.match(refusals[0]!, /^2 invalid_configuration Partitions must be 16/);
    assert.match(refusals[1]!, /^2 invalid_configuration Region must be global/);
    assert.match(refusals[2]!, /^2 invalid_configuration Zone must be given/);
    assert.match(refusals[3]!, /^2 locked Node 1 is a member with another data folder/);
    assert.match(refusals[4]!, /^4 tls_failed /);
    const { stdout } = await crsInProcess(["cluster", "status", "--data", `${folder}/1`, "--json"]);
    const { nodes } = JSON.parse(stdout) as { nodes: { nodeId: number }[] };
    assert.equal(nodes.map(({ nodeId }) => nodeId), [1]);
  } finally {
    first.process.kill("SIGTERM");
    await first.process.ended();
    await Deno.remove(folder, { recursive: true });
  }
});

test.run();
