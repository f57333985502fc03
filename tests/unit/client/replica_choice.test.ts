/** The choice of a replica for a read that may be some time old. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  CLIENT_REFUSAL_MS_BASE,
  CLIENT_REFUSAL_MS_CAP,
  CLIENT_REFUSALS_MAX,
  CLIENT_REMEASURE_MS,
} from "../../../src/base/limits.ts";
import { ReplicaChoice, type ReplicaView } from "../../../src/client/replica_choice.ts";

/** Returns the entropy with which the choices start at turn `turn`. */
const startingAt = (turn: number) => ({ fill: () => {}, unit: () => turn / 2 ** 30 });

/** Nodes 1 to 3, all connected unless a test says otherwise, and a clock. */
class Nodes implements ReplicaView {
  readonly zones = new Map<number, string>();
  readonly loads = new Map<number, number | undefined>();
  readonly down = new Set<number>();
  readonly toMeasure: number[] = [];
  nowMs = 0;
  readonly choice: ReplicaChoice;

  constructor(zone = "", connected: readonly number[] = [1, 2, 3]) {
    for (const nodeId of [1, 2, 3]) {
      this.zones.set(nodeId, `zone-${nodeId}`);
      this.loads.set(nodeId, connected.includes(nodeId) ? 0 : undefined);
    }
    this.choice = new ReplicaChoice(this, { zone, entropy: startingAt(0) });
  }

  readonly zoneOf = (nodeId: number) => this.zones.get(nodeId)!;
  readonly loadOf = (nodeId: number) => this.loads.get(nodeId);
  readonly isUp = (nodeId: number) => !this.down.has(nodeId);
  /** A negative number is a node that is only kept ready. */
  readonly measure = (nodeId: number, mayBeNear: boolean) =>
    void this.toMeasure.push(mayBeNear ? nodeId : -nodeId);

  choose(options: { partition?: number; maxStalenessMs?: number; asked?: number[] } = {}): number {
    const { partition = 0, maxStalenessMs = 100, asked = [] } = options;
    const replicas = [1, 2, 3];
    return this.choice.choose({ partition, replicas, maxStalenessMs, asked }, this.nowMs);
  }

  /** Returns how many of `count` reads each node gets. */
  share(count: number): readonly number[] {
    const shares = [0, 0, 0];
    for (let turn = 0; turn < count; turn++) shares[this.choose() - 1]!++;
    return shares;
  }

  /** Records one round trip to each node, in seconds of their own. */
  trips(...tripsMs: number[]): void {
    this.nowMs += 1_000;
    tripsMs.forEach((ms, index) => this.choice.measured(index + 1, ms, this.nowMs));
  }
}

test("ReplicaChoice prefers the client's zone to the shorter round trip", () => {
  const nodes = new Nodes("zone-3");
  nodes.trips(0.2, 0.2, 4);
  assert.equal(nodes.share(100), [0, 0, 100]);
  // Where the zone has no replica that can be asked, the nearest of the others is.
  nodes.down.add(3);
  assert.equal(nodes.share(160).at(2), 0);
});

test("ReplicaChoice prefers the clearly shorter round trip, and spreads reads over equal ones", () => {
  const nodes = new Nodes();
  nodes.trips(0.3, 0.6, 9);
  assert.equal(nodes.share(320), [160, 160, 0]);
});

test("ReplicaChoice sends reads in runs, so that those of a turn leave in one write", () => {
  const nodes = new Nodes();
  nodes.trips(1, 1, 1);
  const order = Array.from({ length: 480 }, () => nodes.choose());
  const switches = order.filter((nodeId, at) => at > 0 && nodeId !== order[at - 1]).length;
  assert.is(switches, 480 / 16 - 1);
});

test("ReplicaChoice starts at random, so that clients spread", () => {
  const view = new Nodes();
  const first = [0, 16, 32].map((at) => {
    const choice = new ReplicaChoice(view, { zone: "", entropy: startingAt(at) });
    const read = { partition: 0, replicas: [1, 2, 3], maxStalenessMs: 1, asked: [] };
    return choice.choose(read, 0);
  });
  assert.is(new Set(first).size, 3);
});

test("ReplicaChoice takes the other one of two where clearly fewer calls are in flight", () => {
  const nodes = new Nodes();
  nodes.trips(1, 1, 50);
  nodes.loads.set(1, 8);
  assert.equal(nodes.share(320), [160, 160, 0]);
  nodes.loads.set(1, 9);
  assert.equal(nodes.share(320), [0, 320, 0]);
});

test("ReplicaChoice keeps its order while round trips vary by less than 20 % or 0.5 ms", () => {
  const nodes = new Nodes();
  nodes.trips(10, 12, 90);
  for (let turn = 0; turn < 50; turn++) {
    nodes.trips(turn % 2 === 0 ? 11 : 10, turn % 2 === 0 ? 10.5 : 12, 90);
    assert.equal(nodes.share(32), [16, 16, 0]);
  }
});

test("ReplicaChoice moves few times while a round trip jumps up and down each second", () => {
  const nodes = new Nodes();
  nodes.trips(4, 8, 90);
  let moves = 0;
  let before = nodes.share(32)[1]! > 0;
  for (let turn = 0; turn < 200; turn++) {
    nodes.trips(turn % 2 === 0 ? 30 : 2, 8, 90);
    const isSecond = nodes.share(32)[1]! > 0;
    if (isSecond !== before) moves++;
    before = isSecond;
  }
  assert.ok(moves <= 2, `${moves}`);
});

test("ReplicaChoice ranks by the shortest round trip of a second, which own load delays least", () => {
  const nodes = new Nodes();
  nodes.trips(0.3, 5, 5);
  for (const ms of [40, 30, 0.4, 60]) nodes.choice.measured(1, ms, nodes.nowMs += 300);
  assert.equal(nodes.share(32), [32, 0, 0]);
  assert.ok(nodes.choice.tripMs(1)! < 5);
  // If all of them are long, it is far.
  for (let turn = 0; turn < 30; turn++) nodes.trips(40, 5, 5);
  assert.is(nodes.share(32)[0], 0);
});

test("ReplicaChoice passes over a node that refused a partition, for longer each time", () => {
  const nodes = new Nodes("zone-1");
  nodes.trips(1, 1, 1);
  let pausesMs = 0;
  for (const pauseMs of [1, 2, 4].map((times) => times * CLIENT_REFUSAL_MS_BASE)) {
    assert.is(nodes.choose(), 1);
    nodes.choice.refused(0, 1, 100, nodes.nowMs);
    // Calls that were in flight with it are refused, too, and count once.
    nodes.choice.refused(0, 1, 100, nodes.nowMs);
    assert.is.not(nodes.choose(), 1);
    // Other partitions, and reads that accept an older answer, are not concerned.
    assert.is(nodes.choose({ partition: 1 }), 1);
    assert.is(nodes.choose({ maxStalenessMs: 101 }), 1);
    nodes.nowMs += pauseMs - 1;
    assert.is.not(nodes.choose(), 1);
    nodes.nowMs += 1;
    pausesMs += pauseMs;
  }
  assert.is(pausesMs, 7 * CLIENT_REFUSAL_MS_BASE);
  nodes.choice.served(0, 1);
  nodes.choice.refused(0, 1, 100, nodes.nowMs);
  nodes.nowMs += CLIENT_REFUSAL_MS_BASE;
  assert.is(nodes.choose(), 1);
});

test("ReplicaChoice passes over a node for the greatest age that it refused in a pause", () => {
  const nodes = new Nodes("zone-1");
  nodes.trips(1, 1, 1);
  nodes.choice.refused(0, 1, 100, nodes.nowMs);
  nodes.choice.refused(0, 1, 1_000, nodes.nowMs);
  nodes.choice.refused(0, 1, 10, nodes.nowMs);
  assert.is.not(nodes.choose({ maxStalenessMs: 1_000 }), 1);
  assert.is(nodes.choose({ maxStalenessMs: 1_001 }), 1);
  nodes.nowMs += CLIENT_REFUSAL_MS_BASE;
  assert.is(nodes.choose(), 1);
});

test("ReplicaChoice asks a node that always refuses once in the longest pause", () => {
  const nodes = new Nodes("zone-1");
  nodes.trips(1, 1, 1);
  let asked = 0;
  for (let ms = 0; ms < 60_000; ms += 10) {
    nodes.nowMs += 10;
    if (nodes.choose() !== 1) continue;
    asked++;
    nodes.choice.refused(0, 1, 100, nodes.nowMs);
  }
  assert.ok(asked <= 60_000 / CLIENT_REFUSAL_MS_CAP + 7, `${asked}`);
  assert.ok(asked >= 60_000 / CLIENT_REFUSAL_MS_CAP - 1, `${asked}`);
});

test("ReplicaChoice chooses none where all replicas refused or were asked", () => {
  const nodes = new Nodes();
  for (const nodeId of [1, 2]) nodes.choice.refused(0, nodeId, 100, 0);
  assert.is(nodes.choose({ asked: [3] }), 0);
  for (const nodeId of [1, 2, 3]) nodes.down.add(nodeId);
  assert.is(nodes.choose({ partition: 5 }), 0);
});

test("ReplicaChoice remembers a bounded number of refusals", () => {
  const nodes = new Nodes("zone-1");
  for (let partition = 0; partition <= CLIENT_REFUSALS_MAX; partition++) {
    nodes.choice.refused(partition, 1, 100, 0);
  }
  assert.is(nodes.choose({ partition: 0 }), 1);
  assert.is.not(nodes.choose({ partition: CLIENT_REFUSALS_MAX }), 1);
});

test("ReplicaChoice prefers connected nodes and has all replicas connected and measured", () => {
  const nodes = new Nodes("zone-2", [1]);
  assert.is(nodes.choose(), 1);
  nodes.nowMs = 999;
  assert.is(nodes.choose(), 1);
  assert.equal(nodes.toMeasure, [], "not for a program that ends at once");
  nodes.nowMs = 1_000;
  assert.is(nodes.choose(), 1);
  // Nodes of other zones are kept ready.
  assert.equal(nodes.toMeasure, [-1, 2, -3]);
  assert.is(nodes.choose(), 1);
  assert.equal(nodes.toMeasure, [-1, 2, -3], "at most once a second");
  nodes.loads.set(2, 0);
  nodes.nowMs = 2_000;
  assert.is(nodes.choose(), 2);
  assert.equal(nodes.toMeasure.splice(0), [-1, 2, -3, -1, 2, -3]);
  for (const nodeId of [1, 2, 3]) nodes.choice.measured(nodeId, 1, nodes.nowMs);
  nodes.nowMs += CLIENT_REMEASURE_MS - 1;
  nodes.choose();
  assert.equal(nodes.toMeasure, []);
  nodes.nowMs += 1;
  nodes.choose();
  assert.equal(nodes.toMeasure, [-1, 2, -3]);
});

test("ReplicaChoice measures nodes that are clearly farther than others by less", () => {
  const nodes = new Nodes();
  nodes.trips(1, 30, 1.2);
  nodes.choose();
  nodes.nowMs += CLIENT_REMEASURE_MS;
  nodes.choose();
  assert.equal(nodes.toMeasure, [1, -2, 3]);
  nodes.trips(1, 0.9, 1.2);
  for (let turn = 0; turn < 20; turn++) nodes.trips(1, 0.9, 1.2);
  nodes.choose();
  nodes.toMeasure.length = 0;
  nodes.nowMs += CLIENT_REMEASURE_MS;
  nodes.choose();
  assert.equal(nodes.toMeasure, [1, 2, 3]);
});

test("ReplicaChoice takes a late node for as far as it is late, until it answers", () => {
  for (const zone of ["zone-1", ""]) {
    const nodes = new Nodes(zone);
    nodes.trips(1, 30, 3);
    const choose = () => new Set(Array.from({ length: 64 }, () => nodes.choose()));
    assert.equal(choose(), new Set([1]));
    nodes.choice.late(1, nodes.nowMs - 2, nodes.nowMs);
    assert.equal(choose(), new Set([1]), "nobody is nearer");
    nodes.nowMs += 8;
    assert.equal(choose(), new Set([3]));
    nodes.choice.late(3, nodes.nowMs - 2, nodes.nowMs);
    nodes.nowMs += 100;
    assert.equal(choose(), new Set([2]));
    nodes.choice.late(2, nodes.nowMs, nodes.nowMs);
    nodes.nowMs += 1_000;
    assert.is(choose().size, 3, "all are as late");
    nodes.choice.measured(1, 900, nodes.nowMs);
    assert.equal(choose(), new Set([1]));
  }
});

test("ReplicaChoice forgets nodes that left the ring map", () => {
  const nodes = new Nodes();
  nodes.trips(1, 2, 3);
  nodes.choice.retain([1, 3]);
  assert.equal([1, 2, 3].map((nodeId) => nodes.choice.tripMs(nodeId)), [1, undefined, 3]);
});

test.run();
