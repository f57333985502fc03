/** WritePath: a removal by an administrator at a leader that has just been elected. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { TokenBucket } from "../../../src/base/token_bucket.ts";
import { KIND_GATEWAY } from "../../../src/record/key.ts";
import { type Partition, PartitionTable } from "../../../src/serving/partitions.ts";
import { Proposer } from "../../../src/serving/proposer.ts";
import { WritePath, type WritePathParts } from "../../../src/serving/write_path.ts";
import { gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";
import { ForeignRecords } from "../../../src/serving/regions/foreign_records.ts";
import { NO_HOMES } from "../../support/mirrors.ts";

/** A partition whose leader finds records only once it has applied what others logged before it. */
function elected({ group, store, ...place }: Partition): Partition {
  let isCurrent = false;
  const ledGroup = {
    notLeading: () => undefined,
    timeMs: () => group.timeMs(),
    propose: (...args: Parameters<Partition["group"]["propose"]>) => group.propose(...args),
    readBarrier: (...args: Parameters<Partition["group"]["readBarrier"]>) => {
      isCurrent = true;
      return group.readBarrier(...args);
    },
  };
  const ledStore = {
    find: (...key: Parameters<Partition["store"]["find"]>) => isCurrent ? store.find(...key) : -1,
    incarnationOf: (slot: number) => store.incarnationOf(slot),
  };
  return { ...place, group: ledGroup, store: ledStore } as unknown as Partition;
}

test("WritePath.removeRecord finds a record that its new leader has not applied yet", async () => {
  const harness = await RegistryHarness.open();
  const { world, registry } = harness;
  const client = await harness.peer();
  const { id } = await client.must("registerGateway", gatewayRequest({ number: 9 }));
  const { partitioner } = registry.table;
  const writes = new WritePath(
    {
      table: new PartitionTable(partitioner, Array.from(registry.table.here(), elected)),
      proposer: new Proposer({ monotonic: world, wall: world }),
      notes: { note: () => Promise.resolve() },
      foreign: new ForeignRecords(NO_HOMES),
    } as unknown as WritePathParts,
  );
  const removed = await world.wait(writes.removeRecord({ kind: KIND_GATEWAY, id }, {
    peer: developmentPeer({ region: "eu", revoked: new AbortController().signal }),
    bucket: new TokenBucket({ ratePerSecond: 1, burst: 1, nowMs: 0 }),
    caller: {},
    deadlineMs: world.nowMs() + 5_000,
    receipts: [],
  }));
  assert.is(removed.removed, 1);
  assert.is(harness.gateway(idOf(9)), undefined);
});

test.run();
