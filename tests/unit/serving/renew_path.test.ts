/**
 * Renewals at a leader that has no lease: answered from memory once a quorum has confirmed the
 * leader.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type RenewReply, renewRequestCodec } from "../../../schemas/gen/wire.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { errorCodeFromWire, RegistryError } from "../../../src/base/errors.ts";
import { AccessControl } from "../../../src/serving/access_control.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import { type Partition, PartitionTable } from "../../../src/serving/partitions.ts";
import { Proposer } from "../../../src/serving/proposer.ts";
import { TokenBucket } from "../../../src/base/token_bucket.ts";
import { RenewPath } from "../../../src/serving/renew_path.ts";
import { KIND_GATEWAY } from "../../../src/record/key.ts";
import { gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";
import { ForeignRecords } from "../../../src/serving/regions/foreign_records.ts";
import { NO_HOMES } from "../../support/mirrors.ts";

const PEER = developmentPeer({ region: "eu", revoked: new AbortController().signal });
const LEFT_MS = 700;

/** Returns a registered gateway, and a path that renews it in a group that must be asked first. */
async function asked(isLeading: boolean) {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must("registerGateway", gatewayRequest({ number: 1 }));
  const { table } = harness.registry;
  const home = table.held(KIND_GATEWAY, idOf(1));
  const { world } = harness;
  const asks: number[] = [];
  let answer: (permission: ReadPoint | RegistryError) => void = () => {};
  const group = {
    isLeading,
    readPoint: () => undefined,
    readBarrier: (_ageMs: number, timeoutMs: number) => {
      asks.push(timeoutMs);
      return new Promise<ReadPoint | RegistryError>((resolve) => answer = resolve);
    },
    timeMs: () => home.group.timeMs(),
  };
  const path = new RenewPath({
    table: new PartitionTable(
      table.partitioner,
      Array.from(
        table.here(),
        (each) => each === home ? { ...each, group } as unknown as Partition : each,
      ),
    ),
    proposer: new Proposer(world),
    access: new AccessControl(),
    entropy: world.entropy,
    foreign: new ForeignRecords(NO_HOMES),
  });
  const renew = (id: Uint8Array, named = incarnation) => {
    const bytes = renewRequestCodec.encode({
      items: [{ id, incarnation: named, kind: KIND_GATEWAY }],
    });
    const request = renewRequestCodec.newView()
      .wrap(new DataView(bytes.buffer, bytes.byteOffset), bytes, 0, bytes.length);
    const bucket = new TokenBucket({ ratePerSecond: 1e6, burst: 1e6, nowMs: 0 });
    const deadlineMs = world.monotonic.nowMs() + LEFT_MS;
    return path.serve(request, { peer: PEER, bucket, caller: {}, deadlineMs, receipts: [] });
  };
  return {
    path,
    renew,
    asks,
    answer: (permission: ReadPoint | RegistryError) => answer(permission),
  };
}

const outcome = ({ renewed, failures }: RenewReply) => [
  renewed,
  ...failures.map(({ code }) => errorCodeFromWire(code)),
];
const POINT = { appliedIndex: 1, term: 1, ageBoundMs: 0 } as unknown as ReadPoint;

test("renew: a leader without a lease is confirmed before memory answers", async () => {
  const { answer, asks, renew } = await asked(true);
  const renewing = renew(idOf(1));
  assert.equal(asks, [LEFT_MS]);
  let isAnswered = false;
  void renewing.then(() => isAnswered = true);
  for (let hop = 0; hop < 20; hop++) await undefined;
  assert.is(isAnswered, false);
  answer(POINT);
  assert.equal(outcome(await renewing), [1]);
});

test("renew: a leader that is not confirmed renews nothing, and says why", async () => {
  const { answer, renew } = await asked(true);
  const renewing = renew(idOf(1));
  answer(new RegistryError("not_leader", "Another leads"));
  assert.equal(outcome(await renewing), [0, "not_leader"]);
});

test("renew: what the state says counts as of the confirmation", async () => {
  const { answer, renew } = await asked(true);
  const renewing = renew(idOf(1), { generation: 1, index: 999 });
  answer(POINT);
  assert.equal(outcome(await renewing), [0, "superseded"]);
});

test("renew: a replica that does not lead renews nothing, and says nothing of its state", async () => {
  const { asks, path, renew } = await asked(false);
  assert.equal(outcome(await renew(idOf(1))), [0, "not_leader"]);
  assert.equal(outcome(await renew(idOf(1), { generation: 1, index: 999 })), [0, "not_leader"]);
  assert.equal(asks, []);
  assert.equal([...path.misrouted], [["not_leader", 2]], "counted for the metrics");
});

test.run();
