/**
 * Measures, in a separate process, the memory that a TLS listener keeps of clients without a
 * certificate.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { within } from "../../support/until.ts";

const PROCESS = new URL("./bare_tls_process.ts", import.meta.url).href;

test("listenTls keeps no memory of clients that are silent, send junk or show no certificate", async () => {
  const output = await within(
    "the process",
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--v8-flags=--expose-gc", PROCESS],
    }).output(),
    60_000,
  );
  assert.is(output.code, 0, new TextDecoder().decode(output.stderr));
  const { heapGrownKib, clients } = JSON.parse(new TextDecoder().decode(output.stdout));
  assert.is(clients, 600);
  // A `tls.Server` keeps 6.8 KiB of objects per client, and some 10 KiB of other memory.
  assert.ok(heapGrownKib < 1_024, `${heapGrownKib} KiB are kept of ${clients} clients`);
});

test.run();
