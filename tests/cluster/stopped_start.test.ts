/** A start that is stopped while it waits says so in one line of its log, and ends at once. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CrsProcess, startCrs } from "../support/crs_process.ts";
import { GCC, testWith } from "../support/requirement.ts";
import { WriteStaller } from "../support/stalled_write.ts";

/** Longer than the tests wait for anything. */
const STALL_MS = 120_000;
const PORTS = ["--port", "0", "--ops-port", "0", "--peer-port", "0"];

/** Stops a start that waits, and checks what it logs after the signal. */
async function stopped(start: CrsProcess, activity: string): Promise<void> {
  const before = start.stderr.length;
  start.kill("SIGTERM");
  const { code, stdout, stderr } = await start.ended();
  assert.is(code, 0);
  assert.is(stdout, "");
  const messages = stderr.slice(before).trimEnd().split("\n").map((line) => JSON.parse(line).msg);
  assert.equal(messages, [
    "Stopping; another signal ends the process at once",
    `The node was stopped while it was ${activity}`,
  ]);
}

test("crs start that waits for a cluster to join ends on SIGTERM, and says so", async () => {
  const folder = await Deno.makeTempDir();
  // Receives datagrams and answers none.
  const silent = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  try {
    const { port } = silent.addr as Deno.NetAddr;
    const start = new CrsProcess([
      ...["start", "--data", `${folder}/data`, "--node-ca", `${folder}/node-ca`, "--zone", "a"],
      ...[...PORTS, "--join", `127.0.0.1:${port}`, "--pin", `sha256:${"ab".repeat(32)}`, "--json"],
    ]);
    await silent.receive();
    await stopped(start, "joining a cluster");
  } finally {
    silent.close();
    await Deno.remove(folder, { recursive: true });
  }
});

testWith(GCC)("crs start that waits for a hanging disk ends on SIGTERM, and says so", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const data = `${folder}/data`;
    const first = await startCrs(data);
    first.process.kill("SIGTERM");
    assert.is((await first.process.ended()).code, 0);

    const staller = await WriteStaller.compile(folder);
    const stalled = staller.begin(STALL_MS);
    const start = new CrsProcess(["start", "--data", data, ...PORTS, "--json"], {
      env: staller.env,
    });
    await stalled;
    await stopped(start, "starting");
    assert.ok(await staller.isStalled());

    const next = await startCrs(data);
    next.process.kill("SIGTERM");
    assert.is((await next.process.ended()).code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test.run();
