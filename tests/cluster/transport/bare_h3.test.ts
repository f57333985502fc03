/**
 * Measures, in a separate process, the memory that a listener keeps of clients that connect by h3
 * and leave.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { measuredBy } from "./measured_process.ts";

test("listener keeps no memory of clients that come by h3 and go without a session", async () => {
  const { grownKib, clients } = await measuredBy<{ grownKib: number; clients: number }>(
    "bare_h3_process.ts",
  );
  assert.is(clients, 400);
  // Warming up takes 6 MiB. An upgrade that begins before its client has asked for one keeps 20 to
  // 45 KiB of each client as well: 18 MiB in all.
  assert.ok(grownKib < 12 * 1_024, `${grownKib} KiB are kept of ${clients} clients`);
});

test.run();
