/** Leases as quorum minima, compared with counting by hand, and shared between groups. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nodeId } from "../../../src/base/ids.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { type CountedVoter, LeaseBook, quorumUntilMs } from "../../../src/liveness/lease.ts";
import { LIVENESS_TIMING } from "../../../src/liveness/mod.ts";
import { Peers } from "../../../src/liveness/peers.ts";
import { ReceivedSupport } from "../../../src/liveness/received_support.ts";
import { TwoClocks } from "../../support/liveness_nodes.ts";

function received(id: number, untilMs = -Infinity): ReceivedSupport {
  const made = new ReceivedSupport({ node: nodeId(id), epoch: 1, run: 1, id });
  made.extend(untilMs);
  return made;
}

function peers(): Peers {
  return new Peers({
    run: 1,
    mayHaveSupported: false,
    ...new TwoClocks(),
    timing: LIVENESS_TIMING,
  });
}

/** Reports whether more than half of `half` supports the leader at `nowMs`. */
function isMajority(half: readonly CountedVoter[], nowMs: number): boolean {
  const counted = half.filter((voter) => {
    return voter === "self" || (voter !== undefined && nowMs < voter.untilMs);
  });
  return half.length === 0 || 2 * counted.length > half.length;
}

test("quorumUntilMs ends where counting voters one by one finds no majority of either half", () => {
  const entropy = new SeededEntropy(1);
  const draw = (max: number) => Math.floor(entropy.unit() * max);
  for (let round = 0; round < 2_000; round++) {
    const pool: CountedVoter[] = ["self", undefined];
    for (let id = 1; id <= 6; id++) pool.push(received(id, draw(8)));
    const half = (least: number) => {
      return Array.from({ length: least + draw(6) }, () => pool[draw(pool.length)]);
    };
    const halves = [half(1), half(0)] as const;
    const untilMs = quorumUntilMs(halves);
    for (let nowMs = -1; nowMs <= 9; nowMs++) {
      const isHeld = halves.every((one) => isMajority(one, nowMs));
      assert.is(nowMs < untilMs, isHeld, `${untilMs} at ${nowMs}`);
    }
  }
  assert.is(quorumUntilMs([[], []]), -Infinity, "Nobody to vote, nobody to hold it from");
});

test("LeaseBook: groups that count the same share a lease, until the last of them gives it back", () => {
  const book = new LeaseBook(peers());
  const [two, three] = [received(2, 5), received(3, 9)];
  const leases = Array.from({ length: 8_192 }, () => book.acquire([["self", two, three], []]));
  assert.is(new Set(leases).size, 1);
  assert.is(book.size, 1);
  for (
    const other of [
      [["self", two, undefined], []],
      [["self", three, two], []],
      [["self", two], [three]],
      [[two, three], []],
    ] as const
  ) {
    assert.is.not(book.acquire(other), leases[0]);
  }
  assert.is(book.size, 5);
  for (const lease of leases) book.release(lease);
  assert.is(book.size, 4);
});

test("Lease: what changes in any received support shows at the next look", () => {
  const table = peers();
  table.add(nodeId(2));
  const peer = table.find(nodeId(2))!;
  table.enterRun(peer, 1);
  const lease = new LeaseBook(table).acquire([["self", peer.received], []]);
  assert.is(lease.untilMs, -Infinity);
  table.extend(peer.received!, 70);
  assert.is(lease.untilMs, 70);
  table.extend(peer.received!, 60);
  assert.is(lease.untilMs, 70, "Never shorter by an older answer");
  table.uncount(peer);
  assert.is(lease.untilMs, -Infinity);
  const old = peer.received!;
  table.extend(old, 80);
  table.raiseEpoch(nodeId(2), 2);
  assert.is(lease.untilMs, -Infinity);
  table.extend(old, 90);
  table.extend(peer.received!, 95);
  assert.is(lease.untilMs, -Infinity, "Support that was replaced is dead for ever");
});

test.run();
