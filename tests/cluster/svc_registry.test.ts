/** A node that is started with the settings of svc-registry. */
import { existsSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { freePorts } from "../../bench/cluster/ports.ts";
import { crs, type CrsProcess, startCrs } from "../support/crs_process.ts";
import { A, B } from "../support/governance.ts";

const SIGNERS = { SIG_THRESHOLD: "2", SIGNER_ALLOWLIST: `a=${A.key.text},b=${B.key.text}` };
const FLAGS = ["--compat", "svc-registry", "--partitions", "8"];

async function end(process: CrsProcess): Promise<void> {
  process.kill("SIGINT");
  const { code, stderr } = await process.ended();
  assert.is(code, 0, stderr);
}

test("--compat svc-registry: the signers begin the plane, later they must be its own", async () => {
  const folder = await Deno.makeTempDir({ prefix: "crs-compat-" });
  const data = `${folder}/data`;
  try {
    const http = `127.0.0.1:${freePorts(1)}`;
    const env = { ...SIGNERS, BIND: http };
    const first = await startCrs(data, { flags: FLAGS, env });
    assert.is((await fetch(`http://${http}/healthz`)).status, 200);
    const status = await crs(["governance", "status", "--json", "--data", data]);
    const { threshold, signers } = JSON.parse(status.stdout);
    assert.equal([threshold, signers.length], [2, 2]);
    await end(first.process);
    const again = await startCrs(data, { flags: FLAGS, env: SIGNERS });
    await end(again.process);
    const ports = ["--port", "0", "--ops-port", "0", "--peer-port", "0"];
    const refused = await crs(["start", ...FLAGS, "--data", data, ...ports], {
      env: { ...SIGNERS, SIG_THRESHOLD: "1" },
    });
    assert.is.not(refused.code, 0);
    assert.match(refused.stderr, /must be those of the registry/);
    const stray = await crs(["start", "--bind", "127.0.0.1:9"]);
    assert.match(stray.stderr, /need --compat/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("AMNESIA: nothing is left of the node, and a folder on a disk is refused", async () => {
  assert.ok(existsSync("/dev/shm"), "Linux has memory there");
  const folder = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "crs-amnesia-" });
  const data = `${folder}/data`;
  try {
    const env = { AMNESIA: "true" };
    const first = await startCrs(data, { flags: FLAGS, env });
    const { clusterId } = first.node;
    assert.ok(existsSync(data));
    await end(first.process);
    assert.not(existsSync(data), "nothing is left");
    const second = await startCrs(data, { flags: FLAGS, env });
    assert.is.not(second.node.clusterId, clusterId, "it is another one");
    second.process.kill("SIGKILL");
    await second.process.ended();
    const third = await startCrs(data, { flags: FLAGS, env });
    assert.is.not(third.node.clusterId, second.node.clusterId, "after a kill too");
    await end(third.process);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test.run();
