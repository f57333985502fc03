/** Proofs of age at the node that probes: what counts, from when, and what voids it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PROOFS_KEPT } from "../../../../src/base/limits.ts";
import { LEADING, newLease, ProofPair } from "../../../support/proof_pair.ts";

function proven(): ProofPair {
  const pair = new ProofPair();
  const lease = newLease();
  pair.add(1, lease);
  pair.add(2, lease);
  pair.prove();
  return pair;
}

test("an answer counts from when its probe was sent, not from when it arrived", () => {
  const pair = new ProofPair();
  pair.add(1, newLease());
  const answer = pair.ask();
  pair.pass(40);
  assert.is(pair.age(1), Infinity);
  pair.take(answer);
  assert.is(pair.age(1), 43, "40 ms, the margin of 2 ms, and the drift");
});

test("an answer without changes renews the proof of every group", () => {
  const pair = proven();
  pair.pass(500);
  assert.equal(pair.prove().changes, []);
  assert.is(pair.age(1), 2);
  assert.is(pair.age(2), 2);
});

test("an index that is not applied leaves the older proof, with its age", () => {
  const pair = proven();
  pair.pass(25);
  pair.commit(pair.groups[0]!, 11);
  pair.prove();
  assert.is(pair.age(1), 28);
  pair.pass(25);
  pair.prove();
  assert.is(pair.age(1), 53, "the newest index was not asserted to be the older one");
  pair.apply(1, 11);
  assert.is(pair.age(1), 2);
});

test("Prober: keeps a bounded number of indexes that are not applied, each with its age or an older one", () => {
  const pair = proven();
  for (let index = 11; index < 11 + 4 * PROOFS_KEPT; index++) {
    pair.pass(25);
    pair.commit(pair.groups[0]!, index);
    pair.prove();
    // It lags by five entries, each of which was asserted until 25 ms before the next.
    const applied = Math.max(10, index - 5);
    pair.apply(1, applied);
    const age = pair.age(1);
    assert.ok(age >= 25 * (index - applied) + 2, `index ${index}: ${age}`);
    assert.ok(age <= 25 * (5 + PROOFS_KEPT), `index ${index}: ${age}`);
  }
});

test("a group that left the covered set keeps the proof that it had, which grows old", () => {
  const pair = proven();
  pair.groups[0]!.lease = undefined;
  pair.answerer.touched([pair.groups[0]!]);
  pair.pass(25);
  assert.equal(pair.prove().changes, [{ groupId: 1, term: 0, commitIndex: 0 }]);
  pair.pass(25);
  pair.prove();
  assert.is(pair.age(1), 53);
  assert.is(pair.age(2), 2);
});

test("a lost answer voids everything, until the full list of the next epoch", () => {
  const pair = proven();
  pair.pass(25);
  pair.commit(pair.groups[0]!, 11);
  pair.ask();
  pair.pass(25);
  pair.take(pair.ask());
  assert.is(pair.age(1), Infinity);
  assert.is(pair.age(2), Infinity);
  const answer = pair.prove();
  assert.is(answer.counter, 1);
  assert.is(answer.changes.length, 2);
  assert.is(pair.age(2), 2);
  assert.is(pair.age(1), Infinity, "index 11 is not applied");
});

test("a lost probe is no gap", () => {
  const pair = proven();
  pair.prober.probe(1 as never);
  pair.pass(25);
  pair.prove();
  assert.is(pair.age(1), 2);
});

test("a repeated and a late answer have no effect", () => {
  const pair = proven();
  const first = pair.ask()!;
  pair.take(first);
  pair.pass(25);
  const second = pair.ask()!;
  pair.take(second);
  assert.is(pair.take(first), undefined);
  assert.is(pair.take(second), undefined);
  assert.is(pair.age(1), 2);
});

test("an answer of an earlier epoch is not taken for one of the present epoch", () => {
  const pair = proven();
  pair.commit(pair.groups[0]!, 11);
  const late = pair.ask();
  pair.prober.disconnected(1 as never);
  pair.pass(25);
  assert.is(pair.take(late), undefined);
  assert.is(pair.age(2), Infinity, "nothing is proven after a session ended");
  pair.prove();
  assert.is(pair.age(2), 2);
});

test("the end of a session voids what that node asserted, and nothing of another", () => {
  const pair = proven();
  pair.prober.connected(3 as never);
  pair.prober.disconnected(3 as never);
  assert.is(pair.age(1), 2);
  pair.prober.disconnected(LEADING);
  assert.is(pair.age(1), Infinity);
});

test("answers that began with another full list are not continued", () => {
  const pair = proven();
  pair.pass(25);
  // The other node forgot what it had said, and its first answer since was lost.
  pair.answerer.forget(2 as never);
  pair.ask();
  const second = pair.ask()!;
  assert.is(second.counter, 2);
  pair.take(second);
  assert.is(pair.age(1), Infinity);
});

test("an answer of another run of that node voids what the former run asserted", () => {
  const pair = proven();
  pair.answeringRun++;
  pair.prove();
  assert.is(pair.age(1), Infinity);
  pair.prove();
  assert.is(pair.age(1), 2);
});

test("an answer to a former run of this node is not taken", () => {
  const pair = proven();
  const late = pair.ask();
  pair.run++;
  assert.is(pair.take(late), undefined);
  assert.is(pair.take({ ...late!, run: pair.run + 1 }), "malformed");
});

test("the larger of both elapsed times counts", () => {
  const pair = proven();
  pair.wallMs += 9;
  assert.is(pair.age(1), 12, "a short suspend");
  const other = proven();
  other.monotonicMs += 9;
  assert.is(other.age(1), 12, "a wall clock that was set back");
});

test("clocks that part void all proofs for good", () => {
  for (const stepMs of [11, -11]) {
    const pair = proven();
    pair.wallMs += stepMs;
    assert.is(pair.age(1), Infinity);
    pair.wallMs -= stepMs;
    assert.is(pair.age(1), Infinity, "also once they agree again");
    assert.is(pair.age(2), Infinity);
    pair.prove();
    assert.is(pair.age(2), 2);
  }
});

test("a replica that is added is found by a full list, and the others stay proven", () => {
  const pair = proven();
  const lease = newLease();
  pair.groups.push(Object.assign(pair.add(3, lease)));
  pair.pass(25);
  assert.is(pair.age(1), 28);
  pair.prove();
  assert.is(pair.age(3), 2);
  assert.is(pair.age(1), 2);
});

test("answers that cannot be are refused and void what the node asserted", () => {
  const impossible = [
    { sequence: 99 },
    { epoch: 99 },
    { counter: 0 },
    { run: 99 },
    { list: -1 },
    { changes: [{ groupId: 1, term: 3, commitIndex: 0 }] },
    { changes: [{ groupId: 1, term: 0, commitIndex: 5 }] },
    { leasesOff: true, changes: [{ groupId: 1, term: 3, commitIndex: 5 }] },
    { sequence: NaN },
    { sequence: 1.5 },
  ];
  for (const change of impossible) {
    const pair = proven();
    const answer = { ...pair.ask()!, ...change };
    assert.is(pair.take(answer), "malformed", JSON.stringify(change));
    assert.is(pair.age(1), Infinity);
    pair.prove();
    assert.is(pair.age(1), 2);
  }
});

test("groups that are not here are ignored, and a node that was not probed is refused", () => {
  const pair = proven();
  const answer = pair.ask()!;
  const changes = [{ groupId: 77, term: 3, commitIndex: 5 }, {
    groupId: 78,
    term: 0,
    commitIndex: 0,
  }];
  assert.is(pair.take({ ...answer, changes }), undefined);
  assert.is(pair.age(1), 2);
  assert.is(pair.prober.take(9 as never, 1, answer), "unknown_peer");
});

test.run();
