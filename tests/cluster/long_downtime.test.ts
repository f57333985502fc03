/** A node with real keys starts again a month later, and reports a clock that is behind. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crs, startCrs } from "../support/crs_process.ts";
import { clockOff, FAKETIME } from "../support/faketime.ts";
import { testWith } from "../support/requirement.ts";

const DAY_MS = 86_400_000;

testWith(FAKETIME)(
  "a node that was down for 31 days starts, and one whose clock is behind says so",
  async (faketime) => {
    const folder = await Deno.makeTempDir();
    const data = `${folder}/data`;
    const init = ["--trust-domain", "registry.example", "--region", "eu-1"];
    const made = await crs(["identity", "init", ...init, "--out", `${folder}/pki`]);
    assert.is(made.code, 0, made.stderr);
    const authority = ["--authority", `${folder}/pki/authority`, "--region", "eu-1", "--found"];
    const flags = [...authority, "--partitions", "8"];

    const first = await startCrs(data, { flags });
    first.process.kill("SIGTERM");
    assert.is((await first.process.ended()).code, 0);

    const later = await clockOff("+31d", faketime);
    const { process } = await startCrs(data, { flags, env: later });
    const issue = ["identity", "issue", "--identity", `${folder}/pki/administrator`, "--json"];
    const issued = await crs([...issue, "--data", data], { env: later });
    assert.is(issued.code, 0, issued.stderr);
    const { notAfterMs } = JSON.parse(issued.stdout) as { notAfterMs: number };
    assert.ok(notAfterMs > Date.now() + 30 * DAY_MS);
    process.kill("SIGTERM");
    assert.is((await process.ended()).code, 0);

    const ports = ["--port", "0", "--ops-port", "0", "--peer-port", "0"];
    const behind = await crs(["start", "--data", data, ...ports, ...flags, "--json"]);
    assert.is(behind.code, 2, behind.stderr);
    const { error } = JSON.parse(behind.stdout) as { error: { code: string; message: string } };
    assert.is(error.code, "invalid_configuration");
    assert.match(error.message, "The clock of this machine must not be behind");
    assert.match(error.message, "--accept-clock-set-back");

    // The operator confirms that the clock was ahead, and is right now.
    const back = await startCrs(data, { flags: [...flags, "--accept-clock-set-back"] });
    const anew = await crs([...issue, "--data", data]);
    assert.is(anew.code, 0, anew.stderr);
    assert.ok(JSON.parse(anew.stdout).notAfterMs < Date.now() + DAY_MS);
    back.process.kill("SIGTERM");
    assert.is((await back.process.ended()).code, 0);
    // Confirming once is sufficient.
    const again = await startCrs(data, { flags });
    again.process.kill("SIGTERM");
    assert.is((await again.process.ended()).code, 0);
    await Deno.remove(folder, { recursive: true });
  },
);

test.run();
