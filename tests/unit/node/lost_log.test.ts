/** A registry whose log lost acknowledged data: refused, or started under a higher generation. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../../src/base/assert.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

const LOG = "log-0000000000000000.wal";

/** Restores the files to `bytes`, forgetting everything logged since. */
function setBack(harness: RegistryHarness, bytes: Uint8Array): void {
  harness.disk.plant(LOG, bytes);
}

test("incarnations are never given out twice: what a log lost is given out under a greater generation", async () => {
  const harness = await RegistryHarness.open({ partitions: 1 });
  await (await harness.peer()).must("registerAgent", agentRequest({ number: 1 }));
  await harness.stop();
  const before = defined(harness.disk.peek(LOG), "A segment");
  await harness.start();
  const lost = await (await harness.peer()).must("registerAgent", agentRequest({ number: 2 }));
  assert.is(lost.incarnation.generation, 1);
  await harness.stop();
  setBack(harness, before);
  const refused = await harness.start().then(() => undefined, (error) => error);
  assert.ok(refused instanceof RegistryError);
  assert.is(refused.code, "corrupt");
  assert.match(refused.message, /missing.*--accept-data-loss/s);

  harness.acceptDataLoss = true;
  await harness.start();
  assert.is(harness.registry.ringMap().epoch.generation, 2);
  const peer = await harness.peer();
  assert.is((await peer.ask("getAgent", { id: idOf(2) })).code, "not_found");
  const again = await peer.must("registerAgent", agentRequest({ number: 2 }));
  assert.is(again.incarnation.generation, 2);
  const kept = await peer.must("getAgent", { id: idOf(1) });
  await harness.stop();

  // After a replay both have the incarnations that they were given.
  harness.acceptDataLoss = false;
  await harness.start();
  const later = await harness.peer();
  const replayed = await later.must("registerAgent", {
    ...agentRequest({ number: 2, sequence: 2 }),
    expected: again.incarnation,
  });
  assert.equal(replayed.incarnation, again.incarnation);
  assert.equal((await later.must("getAgent", { id: idOf(1) })).record, kept.record);
  assert.is(harness.registry.ringMap().epoch.generation, 2);
  await harness.stop();
});

test.run();
