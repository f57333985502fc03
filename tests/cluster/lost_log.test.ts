/**
 * A node whose log lost acknowledged data, with real processes: truncated after a clean stop, or
 * removed completely. `deno task soak truncations` truncates at 200 places.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crs, startCrs } from "../support/crs_process.ts";
import { newestSegment, startsOnCuts, writtenFolder } from "../support/truncations.ts";

const RECORDS = 10;
const EXAMPLE = new URL("../../examples/gateway.json", import.meta.url).pathname;

test("a log that was cut or removed after a clean stop is refused; the operator's word raises the generation", async () => {
  const root = await Deno.makeTempDir();
  try {
    const data = await writtenFolder(root, { records: RECORDS, ending: "SIGTERM" });
    const verdicts = await startsOnCuts(root, data, { cuts: 2, records: RECORDS, seed: 7 });
    assert.is(verdicts.refused, 2);
    assert.is(verdicts.disagreements, 0);

    await Deno.truncate(`${data}/log/${newestSegment(data)}`, 20_000);
    const flags = ["--partitions", "8", "--accept-data-loss"];
    const { process } = await startCrs(data, { flags });
    try {
      const registered = await crs([
        ...["gateway", "register", "--file", EXAMPLE, "--data", data, "--json"],
      ]);
      assert.is(JSON.parse(registered.stdout).incarnation.generation, 2, registered.stderr);
    } finally {
      process.kill("SIGKILL");
      await process.ended();
    }
    await Deno.remove(`${data}/log`, { recursive: true });
    assert.is((await crs(["wal", "verify", data])).code, 1);
    const removed = await crs(["start", "--data", data, "--port", "0", "--ops-port", "0"]);
    assert.is.not(removed.code, 0);
    assert.match(removed.stderr, /log is gone|is gone, although/);
    assert.match(removed.stderr, /--accept-data-loss/);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

test.run();
