/** Events of apply: the forms before and after each change, and where a state begins anew. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec, aliasCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../../../src/record/key.ts";
import type { EventSink, EventType, StoreEvent } from "../../../src/store/event.ts";
import { EventFeed } from "../../../src/store/event_feed.ts";
import type { StoredSpan } from "../../../src/store/reply.ts";
import { PartitionStore } from "../../../src/store/store.ts";
import { finished, idOf, newShared, StoreHarness } from "../../support/store.ts";

/** An event with copies of its forms. */
interface Copied {
  readonly event: string;
  readonly stored: Uint8Array;
  readonly before: Uint8Array | undefined;
}

function copyOf({ bytes, start, end }: StoredSpan): Uint8Array {
  return bytes.slice(start, end);
}

/** Applies changes to a store whose events are copied. */
function watched(change: (harness: StoreHarness) => void): Copied[] {
  const harness = new StoreHarness({ partition: 3 });
  change(harness);
  const copied: Copied[] = [];
  const sink: EventSink = {
    onEvent: ({ type, kind, partition, generation, index, stored, before }: StoreEvent) => {
      copied.push({
        event: `${type} ${kind} ${partition} ${generation} ${index}`,
        stored: copyOf(stored),
        before: before && copyOf(before),
      });
    },
    onBegin: () => {},
  };
  const store = new PartitionStore({ shared: newShared(), partition: 3, sink });
  for (const entry of harness.log) store.apply(entry);
  return copied;
}

test("apply: a put carries the form before, of any length, and a take-over does", () => {
  const events = watched((harness) => {
    const { incarnation } = harness.putAgent({ number: 1, port: 1 });
    harness.putAgent({ number: 1, port: 2, sequence: 8 });
    harness.putAgent({ number: 1, port: 3, sequence: 9, region: "a-longer-region" });
    harness.putAgent({ number: 1, port: 4, process: 12 }, incarnation);
  });
  assert.equal(events.map(({ event }) => event), [
    ...["registered 1 3 1 1", "updated 1 3 1 2", "updated 1 3 1 3", "taken_over 1 3 1 4"],
  ]);
  assert.is(events[0]!.before, undefined);
  for (let place = 1; place < events.length; place++) {
    assert.equal(events[place]!.before, events[place - 1]!.stored);
    assert.is(agentCodec.decode(events[place]!.stored).port, place + 1);
  }
});

test("apply: a report carries the form before it", () => {
  const events = watched((harness) => {
    const { incarnation } = harness.putGateway({ number: 2 });
    harness.report(2, incarnation, { state: 1, process: 11, sequence: 8 });
  });
  assert.equal(events.map(({ event }) => event.split(" ")[0]), ["registered", "updated"]);
  assert.equal(events[1]!.before, events[0]!.stored);
  assert.is(gatewayCodec.decode(events[1]!.before!).state, 0);
  const after = gatewayCodec.decode(events[1]!.stored);
  assert.equal([after.state, after.sequence], [1, 8]);
});

test("apply: a removed record is passed as it was, and its claim after it", () => {
  const events = watched((harness) => {
    const { claim } = harness.claim("a.example", 1);
    const { incarnation } = harness.putAgent({ number: 1, domain: "a.example", claim });
    harness.remove(KIND_AGENT, 1, incarnation);
  });
  assert.equal(events.map(({ event }) => event.split(" ")[0]), [
    ...["claimed", "registered", "removed", "claim_dropped"],
  ]);
  for (const { stored, before } of events.slice(2)) {
    assert.is(before, undefined);
    assert.equal(stored, events[1]!.stored);
  }
});

test("apply: aliases carry the form before they were claimed again and confirmed", () => {
  const events = watched((harness) => {
    const { claim } = harness.claim("a.example", 1);
    harness.confirm("a.example", 1, claim);
    harness.revoke(1, claim);
    const second = harness.claim("a.example", 2, claim);
    harness.release("a.example", second.claim);
  });
  assert.equal(events.map(({ event }) => event.split(" ")[0]), [
    ...["claimed", "confirmed", "claimed", "released"],
  ]);
  assert.is(events[0]!.before, undefined);
  assert.equal(events[1]!.before, events[0]!.stored);
  assert.equal(events[2]!.before, events[1]!.stored);
  assert.equal(aliasCodec.decode(events[2]!.stored).agentId, idOf(2));
  assert.equal(events[3]!.stored, events[2]!.stored);
});

test("onBegin: at a new store, and behind an image", () => {
  const begun: [number, number][] = [];
  const feed = new EventFeed();
  feed.follow({
    onEvent: () => {},
    onBegin: (partition, index) => void begun.push([partition, index]),
  });
  const harness = new StoreHarness();
  harness.putAgent({ number: 1 });
  harness.putAgent({ number: 2 });
  const image = Uint8Array.from([...harness.store.writeImage()].flatMap((chunk) => [...chunk]));
  const store = new PartitionStore({ shared: newShared(), partition: 5, sink: feed });
  assert.equal(begun, [[5, 0]]);
  store.loadImage([image]);
  assert.equal(begun.slice(1), [[5, 2]]);
  finished(store.readImage(image)).discard();
  assert.is(begun.length, 2);
  finished(store.readImage(image)).install();
  assert.equal(begun.slice(2), [[5, 2]]);
});

test("EventFeed passes events to those who follow all, and to those who follow their type", () => {
  const feed = new EventFeed();
  const seen: string[] = [];
  feed.follow({ onEvent: ({ type }) => void seen.push(`all ${type}`), onBegin: () => {} });
  const followTypes = (name: string, types: readonly EventType[]) =>
    feed.followTypes(types, { onEvent: ({ type }) => void seen.push(`${name} ${type}`) });
  followTypes("ends", ["removed", "expired"]);
  followTypes("expiries", ["expired"]);
  const harness = new StoreHarness({ sink: feed });
  const { incarnation } = harness.putAgent({ number: 1, ttlMs: 5_000 });
  harness.expire(KIND_AGENT, 1, incarnation, 10_000);
  assert.equal(seen, ["all registered", "all expired", "ends expired", "expiries expired"]);
});

test("keysAfter gives the keys of live records in order, in pages", () => {
  const harness = new StoreHarness();
  for (const number of [5, 3, 9, 1]) harness.putAgent({ number });
  harness.putGateway({ number: 4 });
  harness.putGateway({ number: 5 });
  const { incarnation } = harness.putAgent({ number: 7 });
  harness.remove(KIND_AGENT, 7, incarnation);
  harness.claim("b.example", 1);
  harness.claim("a.example", 1);
  const keys = (kinds: number[], after: Uint8Array | undefined, limit: number) =>
    harness.store.keysAfter(kinds, after, limit).map((key) => key.at(-1));
  assert.equal(keys([KIND_AGENT], undefined, 10), [1, 3, 5, 9]);
  assert.equal(keys([KIND_AGENT], idOf(3), 1), [5]);
  assert.equal(keys([KIND_AGENT], idOf(9), 10), []);
  assert.equal(keys([KIND_AGENT, KIND_GATEWAY], undefined, 10), [1, 3, 4, 5, 5, 9]);
  const aliases = harness.store.keysAfter([KIND_ALIAS], undefined, 10);
  assert.equal(aliases, [domainBytes("a.example"), domainBytes("b.example")]);
});

test.run();
