/**
 * Measures, in a separate process, the memory that a TLS listener keeps of clients without a
 * certificate.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { measuredBy } from "./measured_process.ts";

test("listenTls keeps no memory of clients that are silent, send junk or show no certificate", async () => {
  const { heapGrownKib, clients } = await measuredBy<{ heapGrownKib: number; clients: number }>(
    "bare_tls_process.ts",
  );
  assert.is(clients, 600);
  // A `tls.Server` keeps 6.8 KiB of objects per client, and some 10 KiB of other memory.
  assert.ok(heapGrownKib < 1_024, `${heapGrownKib} KiB are kept of ${clients} clients`);
});

test.run();
