/** A cluster is created once; afterwards its groups open from the log, or are reported as lost. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { type GroupId, groupId, SYSTEM_GROUP } from "../../../../src/base/ids.ts";
import { openSharedLog } from "../../../../src/storage/open_shared_log.ts";
import type { SharedLog } from "../../../../src/storage/shared_log.ts";
import { agentRequest, RegistryHarness } from "../../../support/registry_harness.ts";
import { Process } from "../../../support/stepped_world.ts";
import { idOf } from "../../../support/store.ts";

/** Removes groups from the log of a registry that is stopped, as if they had never been there. */
async function removeFromLog(harness: RegistryHarness, groups: readonly GroupId[]): Promise<void> {
  const { world, disk, markDisk } = harness;
  const process = new Process(world);
  const log = await world.wait(
    new Promise<SharedLog>((ready, failed) => {
      openSharedLog({
        storage: disk.open(process),
        markStorage: markDisk.open(process),
        clock: process.monotonic,
        scheduler: process,
        entropy: process.entropy,
        handlers: {
          hardState: () => {},
          imageStart: () => {},
          imageChunk: () => {},
          imageEnd: () => {},
          entry: () => {},
          poisoned: failed,
          ready,
          failed,
        },
      });
    }),
  );
  for (const group of groups) {
    const gone = new Promise<unknown>((done) => log.forget(group, done));
    assert.is(await world.wait(gone), undefined);
  }
  await world.wait(new Promise<unknown>((done) => log.close(done)));
}

async function refusalOf(start: Promise<unknown>): Promise<RegistryError> {
  const error = await start.then(() => undefined, (error) => error);
  assert.instance(error, RegistryError, "the start is refused");
  return error as RegistryError;
}

test("ClusterGroups: a partition that is missing in the log is corrupt, not founded again", async () => {
  const harness = await RegistryHarness.open({ partitions: 4 });
  await (await harness.peer()).must("registerAgent", agentRequest({ number: 1 }));
  await harness.stop();
  await removeFromLog(harness, [groupId(3)]);
  const refused = await refusalOf(harness.start());
  assert.is(refused.code, "corrupt");
  assert.match(refused.message, /replica 1 of group 3.*nothing of it/);
  // No loss of data was detected, so accepting one does not found it under a generation that is used.
  harness.acceptDataLoss = true;
  assert.is((await refusalOf(harness.start())).code, "corrupt");
});

test("ClusterGroups: partitions with records but no genesis are corrupt, not another cluster's", async () => {
  const harness = await RegistryHarness.open({ partitions: 1 });
  await (await harness.peer()).must("registerAgent", agentRequest({ number: 1 }));
  await harness.stop();
  await removeFromLog(harness, [SYSTEM_GROUP]);
  const refused = await refusalOf(harness.start());
  assert.is(refused.code, "corrupt");
  assert.match(refused.message, /partition 0/);
});

test("ClusterGroups: a creation that a crash interrupted at any write is repeated by the next start", async () => {
  for (let writes = 1; writes < 200; writes++) {
    const harness = new RegistryHarness({ partitions: 2, seed: writes });
    let left = writes;
    const { disk } = harness;
    disk.intercept = ({ kind }) => kind === "write" && --left < 0 ? "io" : undefined;
    const started = await harness.start().then(() => true, () => false);
    disk.intercept = () => undefined;
    disk.crash();
    harness.markDisk.crash();
    if (started) {
      assert.ok(writes > 3, "some starts were interrupted");
      return;
    }
    await harness.start();
    const peer = await harness.peer();
    await peer.must("registerAgent", agentRequest({ number: 1 }));
    await harness.restart();
    assert.not(harness.registry.created);
    assert.ok(harness.agent(idOf(1)) !== undefined);
  }
  assert.unreachable("a start needs fewer writes");
});

test.run();
