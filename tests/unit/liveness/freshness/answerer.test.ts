/** Answers of the node that leads: what they assert, and that they list changes only. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PROBED_MS } from "../../../../src/base/limits.ts";
import { newLease, PROBING, ProofPair, RUN } from "../../../support/proof_pair.ts";

test("the first answer lists all groups that are led, later ones what changed", () => {
  const pair = new ProofPair();
  const lease = newLease();
  const [first] = [pair.add(1, lease), pair.add(2, lease)];
  pair.add(3, lease).lease = undefined;
  assert.equal(pair.prove().changes, [
    { groupId: 1, term: 3, commitIndex: 10 },
    { groupId: 2, term: 3, commitIndex: 10 },
  ]);
  pair.answerer.touched([first]);
  assert.equal(pair.prove().changes, [], "something happened, but nothing changed");
  pair.commit(first, 11);
  assert.equal(pair.prove().changes, [{ groupId: 1, term: 3, commitIndex: 11 }]);
  first.term = 4;
  pair.answerer.touched([first]);
  assert.equal(pair.prove().changes, [{ groupId: 1, term: 4, commitIndex: 11 }]);
});

test("a lease that ends withdraws its groups, and returns them when it stands again", () => {
  const pair = new ProofPair();
  const [one, other] = [newLease(), newLease()];
  pair.add(1, one);
  pair.add(2, other);
  pair.prove();
  one.stands = false;
  assert.equal(pair.prove().changes, [{ groupId: 1, term: 0, commitIndex: 0 }]);
  assert.equal(pair.prove().changes, []);
  one.stands = true;
  assert.equal(pair.prove().changes, [{ groupId: 1, term: 3, commitIndex: 10 }]);
});

test("Answerer: compares each lease with the clock once, and looks only at groups with an event", () => {
  const pair = new ProofPair();
  const lease = newLease();
  let looks = 0;
  for (let id = 1; id <= 100; id++) {
    const group = pair.add(id, lease);
    Object.defineProperty(group, "commitIndex", { get: () => looks++ && 10 || 10 });
  }
  pair.prove();
  looks = 0;
  let compared = 0;
  const probe = pair.prober.probe(1 as never);
  pair.answerer.probed(PROBING, RUN, probe, pair.monotonicMs);
  pair.answerer.answer(pair.monotonicMs, () => ++compared > 0, false, () => {});
  assert.is(compared, 1);
  assert.is(looks, 0);
});

test("a group counts on another lease from its next event on", () => {
  const pair = new ProofPair();
  const [before, after] = [newLease(), newLease()];
  const group = pair.add(1, before);
  pair.prove();
  group.lease = after;
  pair.answerer.touched([group]);
  before.stands = false;
  assert.equal(pair.prove().changes, []);
  after.stands = false;
  assert.equal(pair.prove().changes, [{ groupId: 1, term: 0, commitIndex: 0 }]);
});

test("a group without a member on the asking node is not asserted to it", () => {
  const pair = new ProofPair();
  const group = pair.add(1, newLease());
  group.hasMember = false;
  assert.equal(pair.prove().changes, []);
  group.hasMember = true;
  pair.answerer.touched([group]);
  assert.is(pair.prove().changes.length, 1);
  group.hasMember = false;
  pair.answerer.touched([group]);
  assert.equal(pair.prove().changes, [{ groupId: 1, term: 0, commitIndex: 0 }]);
});

test("probes of one turn have one answer, to the newest of them", () => {
  const pair = new ProofPair();
  pair.add(1, newLease());
  const probes = [1, 2, 3].map(() => pair.prober.probe(1 as never));
  for (const probe of [probes[0]!, probes[2]!, probes[1]!]) {
    pair.answerer.probed(PROBING, RUN, probe, pair.monotonicMs);
  }
  assert.is(pair.answers()?.sequence, 3);
  assert.is(pair.answers(), undefined);
});

test("a late probe has no effect, and one that cannot be is refused", () => {
  const pair = new ProofPair();
  pair.prove();
  const late = { epoch: 1, sequence: 1 };
  assert.is(pair.answerer.probed(PROBING, RUN, late, 0), undefined);
  assert.is(pair.answerer.probed(PROBING, RUN - 1, { epoch: 9, sequence: 9 }, 0), undefined);
  assert.is(pair.answers(), undefined);
  for (
    const probe of [{ epoch: 0, sequence: 1 }, { epoch: 1, sequence: -1 }, {
      epoch: 1,
      sequence: 0.5,
    }]
  ) {
    assert.is(pair.answerer.probed(PROBING, RUN, probe, 0), "malformed");
  }
  assert.is(pair.answerer.probed(PROBING, 0, { epoch: 1, sequence: 5 }, 0), "malformed");
});

test("a node that stopped to probe is forgotten, and later gets a full list", () => {
  const pair = new ProofPair();
  pair.add(1, newLease());
  const { list } = pair.prove();
  pair.pass(PROBED_MS + 1);
  pair.answers();
  assert.is(pair.answerer.size, 0);
  pair.prober.restart();
  const again = pair.prove();
  assert.is(again.counter, 1);
  assert.is.not(again.list, list);
  assert.is(again.changes.length, 1);
});

test("Answerer: asserts nothing without leases, and tells the asking node why", () => {
  const pair = new ProofPair();
  pair.add(1, newLease()).lease = undefined;
  pair.leasesOff = true;
  assert.ok(pair.prove().leasesOff);
  assert.ok(pair.prober.areLeasesOff(1 as never));
  assert.is(pair.age(1), Infinity);
});

test.run();
