/** Rights of watches: who may begin one, what its events show, and what a lost right takes away. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec } from "../../../../schemas/gen/record.ts";
import { developmentPeer } from "../../../../identity/enrolment/development_peer.ts";
import type { RegistryError } from "../../../../src/base/errors.ts";
import { type AuthenticatedPeer, NO_GRANTS } from "../../../../src/base/peer.ts";
import { formatUuid } from "../../../../src/base/uuid.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../../src/record/key.ts";
import { WATCH_STARTS } from "../../../../schemas/gen/wire.ts";
import { FakeWatchStream } from "../../../support/fake_watch_stream.ts";
import {
  agentRequest,
  gatewayRequest,
  RegistryHarness,
} from "../../../support/registry_harness.ts";
import { idOf } from "../../../support/store.ts";
import { type ProbeOrder, startAll, type WatchReplyLog } from "../../../support/watch_probe.ts";

const PARTITIONS = 4;
const NEXT = startAll(PARTITIONS, WATCH_STARTS.next);
const STATE = startAll(PARTITIONS, WATCH_STARTS.state);
const GATEWAY = 3, OTHER_GATEWAY = 4;
const HASH = Uint8Array.from({ length: 32 }, (_, index) => 200 - index);
const EXTRA = { credentialHash: HASH, labels: [], superseded: [] };

async function opened() {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const owner = await harness.peer();
  const revocation = new AbortController();
  const peerOf = (fields: Partial<AuthenticatedPeer>): AuthenticatedPeer => ({
    ...developmentPeer({ region: "global", revoked: revocation.signal }),
    ...{ subjectId: idOf(99), pinned: true, grants: NO_GRANTS },
    ...fields,
  });
  const watch = (stream: FakeWatchStream, order: ProbeOrder = {}) =>
    stream.watch(harness.registry.watches, { positions: NEXT, ...order }, PARTITIONS);
  const positionOf = (kind: number, id: Uint8Array) =>
    NEXT[harness.registry.table.partitioner.partitionOf(kind, id, 0, 16)]!;
  return { harness, owner, revocation, peerOf, watch, positionOf };
}

/** Returns the numbers of the agents whose hashes the events of a watch show. */
function hashesIn({ events }: WatchReplyLog): number[] {
  const shown = events.filter(({ kind, record }) =>
    kind === KIND_AGENT && agentCodec.decode(record).extra!.credentialHash.length > 0
  );
  return [...new Set(shown.map(({ record }) => record[23]!))].sort();
}

test("credential hashes are shown as in reads, to each of those who watch the same", async () => {
  const { harness, owner, peerOf, watch } = await opened();
  const streams = {
    development: new FakeWatchStream(peerOf({})),
    proxy: new FakeWatchStream(peerOf({ role: "proxy" })),
    other: new FakeWatchStream(peerOf({ role: "controller" })),
    granted: new FakeWatchStream(
      peerOf({ role: "proxy", grants: { ...NO_GRANTS, credentialHashes: true } }),
    ),
    gateway: new FakeWatchStream(peerOf({ role: "gateway", subjectId: idOf(GATEWAY) })),
  };
  const live = Object.fromEntries(
    Object.entries(streams).map(([name, stream]) => [name, watch(stream, { withBefore: true })]),
  );
  for (const number of [GATEWAY, OTHER_GATEWAY]) {
    await owner.must("registerGateway", gatewayRequest({ number, extra: EXTRA }));
  }
  for (const [number, gateway] of [[1, GATEWAY], [2, OTHER_GATEWAY]] as const) {
    for (const sequence of [7, 8]) {
      const fields = { number, sequence, gatewayId: idOf(gateway), extra: EXTRA };
      await owner.must("registerAgent", agentRequest(fields));
    }
  }
  await harness.world.pass(2);
  const listed = Object.fromEntries(
    Object.entries(streams).map(([name, stream]) => [name, watch(stream, { positions: STATE })]),
  );
  await harness.world.pass(2);
  assert.is(harness.registry.watches.status.subscriptions, 2);
  const expected = {
    ...{ development: [1, 2], proxy: [], other: [], granted: [1, 2], gateway: [1] },
  };
  for (const [name, numbers] of Object.entries(expected)) {
    assert.is(live[name]!.events.length, 6, name);
    assert.equal(hashesIn(live[name]!), numbers, name);
    assert.equal(hashesIn(listed[name]!), numbers, `${name} lists`);
    const shown = live[name]!.events.filter(({ before, kind }) =>
      kind === KIND_AGENT && before.length > 0 &&
      agentCodec.decode(before).extra!.credentialHash.length > 0
    );
    assert.equal(shown.map(({ record }) => record[23]).sort(), numbers, `${name}, before`);
  }
});

test("an agent watches what it may read, by name", async () => {
  const { harness, owner, peerOf, watch, positionOf } = await opened();
  const grants = { domains: [], gateways: [formatUuid(idOf(GATEWAY))] };
  const stream = new FakeWatchStream(peerOf({ role: "agent", subjectId: idOf(1), grants }));
  const refused = (order: ProbeOrder) => {
    try {
      watch(stream, order);
      return "ok";
    } catch (error) {
      return (error as RegistryError).code;
    }
  };
  const named = (kind: number, id: Uint8Array): ProbeOrder => ({
    ...{ kind, ids: [id], positions: [positionOf(kind, id)] },
  });
  assert.is(refused({}), "permission_denied");
  assert.is(refused({ kind: KIND_AGENT }), "permission_denied");
  assert.is(refused({ kind: 3 }), "permission_denied");
  assert.is(refused(named(KIND_AGENT, idOf(2))), "permission_denied");
  assert.is(refused(named(KIND_GATEWAY, idOf(OTHER_GATEWAY))), "permission_denied");
  assert.is(refused({ ...named(KIND_AGENT, idOf(1)), kind: 0 }), "permission_denied");
  const own = watch(stream, named(KIND_AGENT, idOf(1)));
  const granted = watch(stream, named(KIND_GATEWAY, idOf(GATEWAY)));
  await owner.must("registerGateway", gatewayRequest({ number: GATEWAY }));
  await owner.must("registerAgent", agentRequest({ number: 1 }));
  await owner.must("registerAgent", agentRequest({ number: 2 }));
  await harness.world.pass(2);
  assert.equal([own.events.length, granted.events.length], [1, 1]);
  const node = new FakeWatchStream(peerOf({ role: "node" }));
  assert.throws(() => watch(node), (error: RegistryError) => error.code === "permission_denied");
});

test("a watch ends with the right to it, before the next event", async () => {
  const { harness, owner, peerOf, watch, positionOf } = await opened();
  const grants = { domains: [], gateways: [formatUuid(idOf(GATEWAY))] };
  const fields = { role: "agent", subjectId: idOf(1), grants } as const;
  const stream = new FakeWatchStream(peerOf(fields));
  const order = { kind: KIND_GATEWAY, ids: [idOf(GATEWAY)] };
  const log = watch(stream, { ...order, positions: [positionOf(KIND_GATEWAY, idOf(GATEWAY))] });
  const own = watch(stream, {
    ...{ kind: KIND_AGENT, ids: [idOf(1)], positions: [positionOf(KIND_AGENT, idOf(1))] },
  });
  await owner.must("registerGateway", gatewayRequest({ number: GATEWAY }));
  await harness.world.pass(2);
  // A renewed proof changes nothing.
  stream.caller.peer = peerOf(fields);
  await owner.must("registerGateway", gatewayRequest({ number: GATEWAY, sequence: 8 }));
  await harness.world.pass(2);
  assert.is(log.events.length, 2);
  assert.is(log.end, undefined);
  // The token that granted the gateway is gone.
  stream.caller.peer = peerOf({ ...fields, grants: NO_GRANTS });
  await owner.must("registerGateway", gatewayRequest({ number: GATEWAY, sequence: 9 }));
  await owner.must("registerAgent", agentRequest({ number: 1 }));
  await harness.world.pass(2);
  assert.is(log.events.length, 2);
  assert.is(log.end, "permission_denied");
  assert.equal([own.events.length, own.end], [1, undefined]);
});

test("a watch of a banned identity ends without another event, or progress", async () => {
  const { harness, owner, revocation, peerOf, watch } = await opened();
  const live = new FakeWatchStream(peerOf({ role: "proxy" }));
  const idle = new FakeWatchStream(peerOf({ role: "proxy" }));
  const behind = new FakeWatchStream(peerOf({ role: "proxy" }));
  const [first, second, third] = [
    watch(live),
    watch(idle, { region: "nowhere" }),
    watch(behind),
  ];
  await harness.world.pass(2);
  behind.reads = false;
  await owner.must("registerAgent", agentRequest({ number: 1 }));
  await harness.world.pass(2);
  await owner.must("registerAgent", agentRequest({ number: 2 }));
  await harness.world.pass(2);
  revocation.abort();
  await owner.must("registerAgent", agentRequest({ number: 3 }));
  await harness.world.pass(1_500);
  behind.reads = true;
  await harness.world.pass(2);
  assert.equal([first!.events.length, first!.end], [2, "unauthenticated"]);
  assert.equal([second!.progress.length, second!.end], [0, "unauthenticated"]);
  assert.equal([third!.events.length, third!.end], [1, "unauthenticated"]);
  assert.is(harness.registry.watches.status.counts.watches, 0);
});

test.run();
