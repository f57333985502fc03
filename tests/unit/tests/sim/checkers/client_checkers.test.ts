/** The checkers of replies to clients: each reports exactly the violations. */
import { test } from "uvu";
import { AcknowledgedWrites } from "../../../../sim/checkers/acknowledged_writes.ts";
import { Covers } from "../../../../sim/checkers/covers.ts";
import { Linearizability } from "../../../../sim/checkers/linearizability.ts";
import { LiveOwners } from "../../../../sim/checkers/live_owners.ts";
import { TimeToLive } from "../../../../sim/checkers/time_to_live.ts";
import type { NodeOutage, Operation, RunEnd, RunFacts } from "../../../../sim/history.ts";
import {
  clusterView,
  FACTS,
  finds,
  nodeView,
  operation,
  refOf,
  step,
} from "../../../../support/sim_views.ts";

function endAt(nowMs: number, finals: Record<string, number> = {}): RunEnd {
  const finalValues = new Map(
    Object.entries(finals).map(([key, value]) => [key, { value, atMs: nowMs }]),
  );
  return { view: clusterView(nowMs), healedMs: 0, finalValues, leftOver: new Map() };
}

function judged(operations: readonly Operation[]): Linearizability {
  const checker = new Linearizability();
  for (const each of operations) checker.onOperation(each);
  return checker;
}

const written = operation(1, 2, { kind: "register", value: 7, index: 3, term: 1 });

test("Linearizability finds a wrong get, and reports the known state", () => {
  const checker = judged([written, operation(3, 4, { end: "not_found", client: 5 })]);
  finds(checker, /get of a by client 5 .* may have held 7/, () => checker.onEnd());
});

test("Linearizability takes each operation for what it tells", () => {
  const gone = operation(5, 6, { kind: "deregister", value: 7 });
  const wrongs: Operation[][] = [
    [written, operation(3, 4, { kind: "renew", end: "not_found" })],
    [written, gone, operation(7, 8, { value: 7 })],
    [written, operation(3, 4, { kind: "take_over", value: 8 }), operation(5, 6, { value: 7 })],
  ];
  for (const history of wrongs) {
    const checker = judged(history);
    finds(checker, /No order/, () => checker.onEnd());
  }
  const lost = operation(3, 4, { kind: "register", value: 8, end: "unknown" });
  const rights: Operation[][] = [
    [written, operation(3, 4, { value: 7 }), gone, operation(7, 8, { end: "not_found" })],
    [written, lost, operation(5, 6, { value: 8 })],
    [written, lost, operation(5, 6, { value: 7 })],
    [
      written,
      operation(3, 4, { kind: "register", value: 8, end: "refused" }),
      operation(5, 6, { value: 7 }),
    ],
    [written, operation(3, 4, { kind: "renew", value: 7 }), operation(5, 6, { end: "unknown" })],
    // Its lease may have ended.
    [{ ...written, isLongLived: false }, operation(3, 4, { end: "not_found", isLongLived: false })],
  ];
  for (const history of rights) judged(history).onEnd();
});

test("AcknowledgedWrites finds one whose entry is another, or never came", () => {
  const checker = new AcknowledgedWrites();
  checker.onOperation(written);
  finds(checker, /never applied/, () => checker.onEnd(endAt(9)));
  checker.onApply(refOf(2), { index: 3, term: 2, hash: 1 });
  finds(checker, /one of term 2/, () => checker.onEnd(endAt(9)));
});

test("AcknowledgedWrites finds a key that does not hold the last of them", () => {
  const checkerOf = (...operations: Operation[]) => {
    const checker = new AcknowledgedWrites();
    for (const each of operations) {
      checker.onOperation(each);
      if (each.index > 0) checker.onApply(refOf(1), { index: each.index, term: 1, hash: 1 });
    }
    return checker;
  };
  const later = operation(3, 4, { kind: "register", value: 8, index: 4, term: 1 });
  for (const final of [7, 0, 9]) {
    const checker = checkerOf(later, written);
    finds(checker, /must hold 8/, () => checker.onEnd(endAt(9, { a: final })));
  }
  checkerOf(later, written).onEnd(endAt(9, { a: 8 }));
  const gone = operation(5, 6, { kind: "deregister", value: 8, index: 5, term: 1 });
  const checker = checkerOf(written, later, gone);
  finds(checker, /must hold 0/, () => checker.onEnd(endAt(9, { a: 8 })));
  checker.onEnd(endAt(9, { a: 0 }));
  // No client was told its outcome.
  const lost = operation(7, 8, { kind: "register", value: 9, end: "unknown" });
  checkerOf(written, later, lost).onEnd(endAt(9, { a: 9 }));
  checkerOf(written, later, lost).onEnd(endAt(9, { a: 8 }));
});

const TTL = 5_000;
const lease = (calledMs: number, answeredMs: number, fields: Partial<Operation> = {}) =>
  operation(calledMs, answeredMs, { kind: "register", isLongLived: false, ttlMs: TTL, ...fields });
const expiry = (atMs: number, index = 1) => ({
  group: 1,
  key: "a",
  incarnation: { generation: 1, index },
  index: 99,
  atMs,
});

function livesOf(driftPpm: number, ...operations: Operation[]): TimeToLive {
  const checker = new TimeToLive({ ...FACTS, driftPpm });
  for (const each of operations) checker.onOperation(each);
  return checker;
}

test("TimeToLive finds a record that expired before its lease ended", () => {
  const early = (atMs: number, driftPpm: number, ...operations: Operation[]) => {
    const checker = livesOf(driftPpm, ...operations);
    checker.onExpired(expiry(atMs));
    return { checker, run: () => checker.onEnd(endAt(20_000)) };
  };
  for (const grants of [[lease(100, 150)], [lease(1, 2), lease(100, 150, { kind: "renew" })]]) {
    const { checker, run } = early(5_090, 0, ...grants);
    finds(checker, /expired at 5090 ms/, run);
    early(5_100, 0, ...grants).run();
  }
  // A clock that runs fast by 1 % ends it after 4,950 ms.
  early(5_060, 10_000, lease(100, 150)).run();
  const { checker, run } = early(5_040, 10_000, lease(100, 150));
  finds(checker, /given 5000 ms/, run);
});

test("TimeToLive ignores replies that no client received", () => {
  const checker = livesOf(0, lease(1, 2), lease(900, 950, { kind: "renew", end: "unknown" }));
  checker.onExpired(expiry(5_100));
  checker.onEnd(endAt(20_000));
  // Of another incarnation.
  const other = livesOf(0, lease(100, 150));
  other.onExpired(expiry(120, 7));
  other.onEnd(endAt(20_000));
});

test("TimeToLive finds a record that is gone though nothing ended it", () => {
  const absent = (calledMs: number, kind: "get" | "renew" = "get") =>
    operation(calledMs, calledMs + 10, { kind, end: "not_found", isLongLived: false });
  for (const kind of ["get", "renew"] as const) {
    const checker = livesOf(0, lease(100, 150), absent(1_000, kind));
    finds(checker, /not there for/, () => checker.onEnd(endAt(20_000)));
  }
  livesOf(0, lease(100, 150), absent(50)).onEnd(endAt(20_000));
  livesOf(0, lease(100, 150), absent(5_095)).onEnd(endAt(20_000));
  const removed = lease(900, 1_500, { kind: "deregister", end: "unknown" });
  livesOf(0, lease(100, 150), removed, absent(1_000)).onEnd(endAt(20_000));
  const before = lease(10, 20, { kind: "deregister" });
  const checker = livesOf(0, before, lease(100, 150), absent(1_000));
  finds(checker, /not there for/, () => checker.onEnd(endAt(20_000)));
});

test("TimeToLive finds a record that outlives its lease under one leader", () => {
  const late = (atMs: number | undefined, sinceMs = 0, ...others: Operation[]) => {
    const checker = livesOf(0, lease(100, 150), ...others);
    step(checker, { ref: refOf(1), role: "leader" }, { nowMs: sinceMs });
    if (atMs !== undefined) checker.onExpired(expiry(atMs));
    return { checker, run: () => checker.onEnd(endAt(20_000)) };
  };
  for (const atMs of [6_200, undefined]) {
    const { checker, run } = late(atMs);
    finds(checker, /lived on/, run);
  }
  late(6_100).run();
  // There was another leader, or it was renewed, or may have been.
  late(6_200, 120).run();
  late(7_000, 0, lease(1_000, 1_050, { kind: "renew" })).run();
  late(9_000, 0, lease(1_000, 1_050, { kind: "renew", end: "unknown" })).run();
});

test("TimeToLive finds a record that is left when all leases must have ended", () => {
  const checker = livesOf(0);
  const left = (value: number) => ({
    ...endAt(20_000),
    leftOver: new Map([["1/1", { value: 0, atMs: 1 }], ["1/2", { value, atMs: 19_000 }]]),
  });
  checker.onEnd(left(0));
  finds(checker, /1\/2 is there at 19000 ms/, () => checker.onEnd(left(7)));
});

test("Covers finds a renewal beyond its cover, and a leader that goes by less", () => {
  const checker = new Covers();
  const renewal = (fields: Partial<Operation>) =>
    operation(1, 2, { kind: "renew", way: "memory", coverLeftMs: 4_999, ...fields });
  checker.onOperation(renewal({ coverLeftMs: 5_000 }));
  checker.onOperation(renewal({ end: "refused" }));
  checker.onOperation(renewal({ kind: "register", way: "propose" }));
  finds(checker, /its cover ends in 4999 ms/, () => checker.onOperation(renewal({})));
  const lease = { key: "a", leftMs: 9_000, coverLeftMs: 9_000 };
  checker.onLed(refOf(1), [lease]);
  finds(checker, /begins to lead, and gives a 8999 ms: .* 9000 ms/, () => {
    checker.onLed(refOf(1), [lease, { ...lease, leftMs: 8_999 }]);
  });
});

test("TimeToLive does not judge a leader that was disturbed", () => {
  const checker = livesOf(0, lease(100, 150));
  step(checker, { ref: refOf(1), role: "leader" }, { nowMs: 0 });
  const paused = nodeView(1, [], { state: "paused" });
  step(checker, { ref: refOf(2) }, { nowMs: 3_000, others: [paused] });
  checker.onEnd(endAt(20_000));
  const unhealed = livesOf(0, lease(100, 150));
  step(unhealed, { ref: refOf(1), role: "leader" }, { nowMs: 0 });
  unhealed.onEnd({ ...endAt(20_000), healedMs: 4_000 });
});

/** A record that one leader granted at 100 ms and then ended, with earlier outages of its node. */
function ended(
  atMs: number,
  outages: readonly Omit<NodeOutage, "node">[],
  { tries = [], ...facts }: Partial<RunFacts> & { readonly tries?: readonly number[] } = {},
) {
  const checker = new LiveOwners({ ...FACTS, ...facts });
  step(checker, { ref: refOf(1), role: "leader" }, { nowMs: 0 });
  checker.onOperation(lease(100, 150));
  for (const triedMs of tries) checker.onTry("a", { generation: 1, index: 1 }, triedMs);
  for (const outage of outages) checker.onOutage({ node: 1, ...outage });
  return { checker, run: () => checker.onExpired(expiry(atMs)) };
}

test("LiveOwners finds time that runs on in an outage, whether or not its owner tried", () => {
  for (const kind of ["stop", "unseen_stop", "refusal", "stall"] as const) {
    const outage = { kind, fromMs: 1_000, toMs: 7_000 };
    const { checker, run } = ended(7_100, [outage]);
    finds(checker, /could serve and log for 1000 ms/, run);
    ended(11_100, [outage]).run();
  }
  ended(5_100, []).run();
  // Outages too short to be noticed, and those of another node, do not count.
  ended(5_100, [{ kind: "stop", fromMs: 1_000, toMs: 2_100 }]).run();
  const { checker, run } = ended(11_000, [
    { kind: "stop", fromMs: 1_000, toMs: 5_000 },
    { kind: "stall", fromMs: 3_000, toMs: 8_000 },
  ]);
  finds(checker, /for 3900 ms/, run);
});

test("LiveOwners finds an owner who tried and was not heard before the grace was over", () => {
  const outages = [{ kind: "refusal", fromMs: 5_000, toMs: 9_000 }] as const;
  const { checker, run } = ended(9_200, outages, { tries: [1_000, 8_000] });
  finds(checker, /200 ms after an outage .*tried to renew at 8000 ms/, run);
  const { checker: late, run: expire } = ended(11_900, outages, { tries: [11_800] });
  finds(late, /tried to renew at 11800 ms/, expire);
  ended(12_000, outages, { tries: [8_000] }).run();
  ended(9_200, outages, { tries: [1_000] }).run();
  ended(9_200, outages, { tries: [8_000], hasWallJumps: true }).run();
});

test("LiveOwners judges neither another leader nor graces beyond the credit", () => {
  const outages = Array.from({ length: 3 }, (_, at) => {
    return { kind: "refusal", fromMs: 1_000 + at * 4_000, toMs: 4_000 + at * 4_000 } as const;
  });
  ended(12_100 + 4_000, outages, { tries: [11_000] }).run();
  const { checker, run } = ended(4_100, [outages[0]!], { tries: [3_000] });
  step(checker, { ref: refOf(2), role: "leader", term: 2 }, { nowMs: 200 });
  run();
});

test.run();
