/** Proofs of one replica's applied state, when several nodes assert something. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { NodeId } from "../../../../src/base/ids.ts";
import { GroupProof, ProofSeries } from "../../../../src/liveness/freshness/group_proof.ts";

/** A replica that has applied index 10 of term 3, and nodes 1 to 3, on which members are. */
class Replica {
  readonly applied = { index: 10, term: 3 };
  readonly members = new Set([1, 2, 3]);
  readonly proof = new GroupProof(this);

  hasMemberOn(node: NodeId): boolean {
    return this.members.has(node);
  }

  /** Returns answers of a node, the newest of which counts from `atMs`. */
  series(node: number, atMs: number): ProofSeries {
    const series = new ProofSeries(node as NodeId, 1, 1);
    series.advance(at(atMs));
    return series;
  }

  /** The moment of the proof, ms; -Infinity without one. */
  get provenMs(): number {
    return this.proof.moment().monotonicMs;
  }
}

function at(monotonicMs: number) {
  return { monotonicMs, wallMs: monotonicMs };
}

test("a former leader's late answer does not replace that of its successor, which is not applied", () => {
  const replica = new Replica();
  const [former, next] = [replica.series(1, 100), replica.series(2, 130)];
  replica.proof.assert(former, 3, 10);
  replica.proof.assert(next, 4, 12);
  assert.is(replica.provenMs, 100, "what held at 100 ms is applied");
  next.advance(at(200));
  replica.proof.assert(former, 3, 10);
  Object.assign(replica.applied, { index: 12, term: 4 });
  assert.is(replica.provenMs, 200);
  replica.proof.leave(former);
  assert.is(replica.provenMs, 200);
});

test("an assertion of a later term than that of the applied entry does not count", () => {
  const replica = new Replica();
  replica.proof.assert(replica.series(2, 100), 4, 9);
  assert.is(replica.provenMs, -Infinity);
  // Nor does it keep that of another node from counting, before it or after.
  const leading = replica.series(1, 50);
  replica.proof.assert(leading, 3, 10);
  assert.is(replica.provenMs, 50);
  replica.proof.assert(replica.series(2, 120), 2 ** 50, 9);
  leading.advance(at(75));
  assert.is(replica.provenMs, 75);
  replica.proof.leave(leading);
  assert.is(replica.provenMs, 75, "what is kept of the leader is not lost by it either");
});

test("a node without a member of the group asserts nothing of it, until its member is known", () => {
  const replica = new Replica();
  replica.members.delete(3);
  replica.proof.assert(replica.series(3, 100), 3, 10);
  assert.is(replica.provenMs, -Infinity);
  replica.members.add(3);
  assert.is(replica.provenMs, 100);
});

test("the latest moment counts where several assertions are applied", () => {
  const replica = new Replica();
  const [one, two] = [replica.series(1, 100), replica.series(2, 130)];
  replica.proof.assert(two, 3, 10);
  replica.proof.assert(one, 3, 10);
  assert.is(replica.provenMs, 130);
  two.void();
  assert.is(replica.provenMs, 100);
  one.void();
  assert.is(replica.provenMs, -Infinity);
});

test.run();
