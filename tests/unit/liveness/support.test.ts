/** Support between two nodes: when it is given, for how long, and which part of it counts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nodeId } from "../../../src/base/ids.ts";
import { BEAT_GROUPS_MAX, BEAT_MS, ECHO_MS_MAX, SUPPORT_MS } from "../../../src/base/limits.ts";
import type { Beat } from "../../../src/liveness/mod.ts";
import { countedMs, LIVENESS_TIMING } from "../../../src/liveness/mod.ts";
import { LivenessNodes } from "../../support/liveness_nodes.ts";

const ONE = nodeId(1);
const TWO = nodeId(2);
const COUNTED_MS = countedMs(LIVENESS_TIMING);

/** Returns two nodes that support each other. */
function pair(): LivenessNodes {
  const nodes = new LivenessNodes(2);
  nodes.beat(1, 2);
  return nodes;
}

test("one beat and its answers give support both ways", () => {
  const { nodes } = pair();
  const [one, two] = nodes;
  assert.is(one!.liveness.supportedEpoch(TWO), 1);
  assert.is(two!.liveness.supportedEpoch(ONE), 1);
  assert.is(one!.liveness.supportUntilMs(TWO), 1_000 + COUNTED_MS);
  assert.is(two!.liveness.supportUntilMs(ONE), 1_000 + COUNTED_MS);
  const { epoch, run } = one!.liveness.receivedFrom(TWO)!;
  assert.equal([epoch, run], [1, 1]);
});

test("nodes that support each other exchange regular beats only, and each of them extends support", () => {
  const nodes = pair();
  for (let beats = 0; beats < 50; beats++) {
    nodes.advance(BEAT_MS);
    for (const [from, to] of [[1, 2], [2, 1]] as const) {
      const { liveness } = nodes.node(from);
      assert.equal(liveness.dueBeats(), [nodes.node(to).id]);
      const answer = nodes.node(to).liveness.receive(
        nodes.node(from).id,
        liveness.beat(nodes.node(to).id),
      );
      assert.is(answer, undefined);
      assert.equal(liveness.dueBeats(), []);
    }
    const nowMs = nodes.node(1).clocks.monotonicMs;
    assert.is(nodes.node(1).liveness.supportUntilMs(TWO), nowMs + COUNTED_MS);
  }
});

test("support is counted from when the answered beat was sent, not from when the answer came", () => {
  const nodes = pair();
  nodes.advance(BEAT_MS);
  const sentMs = nodes.node(1).clocks.monotonicMs;
  const beat = nodes.node(1).liveness.beat(TWO);
  nodes.advance(400);
  nodes.node(2).liveness.receive(ONE, beat);
  nodes.advance(400);
  nodes.node(1).liveness.receive(TWO, nodes.node(2).liveness.beat(ONE));
  assert.is(nodes.node(1).liveness.supportUntilMs(TWO), sentMs + COUNTED_MS);
});

test("an answer counts from the beat that was granted, not from a later one that was not", () => {
  const nodes = pair();
  const { liveness: one, clocks } = nodes.node(1);
  const { liveness: two } = nodes.node(2);
  nodes.advance(BEAT_MS);
  const grantedMs = clocks.monotonicMs;
  two.receive(ONE, one.beat(TWO));
  // From here on node 1 receives nothing, so that its echoes become too old to be supported.
  nodes.advance(ECHO_MS_MAX);
  one.poll();
  nodes.advance(1);
  two.receive(ONE, one.beat(TWO));
  one.receive(TWO, two.beat(ONE));
  assert.is(one.supportUntilMs(TWO), grantedMs + COUNTED_MS);
});

test("a link that carries one way only gives no support in either direction", () => {
  const nodes = new LivenessNodes(2);
  const [one, two] = nodes.nodes;
  for (let beats = 0; beats < 20; beats++) {
    two!.liveness.receive(ONE, one!.liveness.beat(TWO));
    two!.liveness.beat(ONE);
    nodes.advance(BEAT_MS);
    assert.is(two!.liveness.supportedEpoch(ONE), 0);
    assert.is(one!.liveness.supportedEpoch(TWO), 0);
    assert.is(one!.liveness.supportUntilMs(TWO), -Infinity);
  }
});

test("a link that carries one way only from now on ends support in both directions", () => {
  const nodes = pair();
  const [one, two] = nodes.nodes;
  for (let passedMs = 0; passedMs <= ECHO_MS_MAX + SUPPORT_MS; passedMs += BEAT_MS) {
    two!.liveness.receive(ONE, one!.liveness.beat(TWO));
    two!.liveness.beat(ONE);
    nodes.advance(BEAT_MS);
  }
  assert.is(two!.liveness.supportedEpoch(ONE), 0, "Whoever hears does not support for ever");
  assert.is(one!.liveness.supportedEpoch(TWO), 0);
});

test("support lasts for SUPPORT_MS of the supporter's clock from the receipt, and not longer", () => {
  const { nodes } = pair();
  const [one, two] = nodes;
  two!.clocks.advance(SUPPORT_MS - 1);
  // In steps, because otherwise the turn would count as late.
  assert.is(two!.liveness.supportedEpoch(ONE), 1);
  two!.clocks.advance(1);
  assert.is(two!.liveness.supportedEpoch(ONE), 0);
  assert.equal(two!.liveness.poll().withdrawn, [ONE]);
  assert.equal(two!.liveness.poll().withdrawn, []);
  assert.is(one!.liveness.supportedEpoch(TWO), 1);
});

test("the counted time leaves room for the drift of two clocks, and for the margin", () => {
  const { driftPpm, marginMs, supportMs } = LIVENESS_TIMING;
  const drift = driftPpm / 1e6;
  // The slowest clock of a counting node against the fastest one of a promising node.
  const trueCounted = (COUNTED_MS + marginMs) / (1 - drift);
  const truePromised = supportMs / (1 + drift);
  assert.ok(trueCounted <= truePromised, `${trueCounted} against ${truePromised}`);
  assert.ok((COUNTED_MS + marginMs + 0.01) / (1 - drift) > truePromised, "And hardly more");
});

test("a refused epoch is raised, durable first, and support goes on under the higher one", () => {
  const nodes = pair();
  const [one, two] = nodes.nodes;
  for (let passedMs = 0; passedMs < SUPPORT_MS; passedMs += 500) {
    nodes.advance(500);
    one!.liveness.poll();
    two!.liveness.poll();
  }
  nodes.beat(2, 1);
  assert.is(two!.liveness.supportedEpoch(ONE), 0);
  assert.equal(one!.liveness.epochsWanted(), [TWO]);
  assert.is(one!.liveness.supportUntilMs(TWO), -Infinity);
  one!.liveness.raiseEpoch(TWO, 2);
  assert.equal(one!.liveness.epochsWanted(), []);
  assert.equal(one!.liveness.dueBeats(), [TWO], "At once, not with the next regular beat");
  nodes.beat(1, 2);
  assert.is(two!.liveness.supportedEpoch(ONE), 2);
  assert.is(one!.liveness.supportUntilMs(TWO), one!.clocks.monotonicMs + COUNTED_MS);
  assert.throws(() => one!.liveness.raiseEpoch(TWO, 2), /must grow/);
});

test("an answer for an epoch that was raised meanwhile counts for nothing", () => {
  const nodes = pair();
  const [one, two] = nodes.nodes;
  nodes.advance(BEAT_MS);
  two!.liveness.receive(ONE, one!.liveness.beat(TWO));
  const answer = two!.liveness.beat(ONE);
  one!.liveness.raiseEpoch(TWO, 2);
  one!.liveness.receive(TWO, answer);
  assert.is(one!.liveness.supportUntilMs(TWO), -Infinity);
  assert.is(one!.liveness.receivedFrom(TWO)!.epoch, 2);
});

test("beats that come late, twice or from an earlier run say nothing", () => {
  const nodes = pair();
  const [one, two] = nodes.nodes;
  nodes.advance(BEAT_MS);
  const first = one!.liveness.beat(TWO);
  const second = one!.liveness.beat(TWO);
  two!.liveness.receive(ONE, second);
  nodes.advance(500);
  for (const beat of [first, second, second]) {
    assert.is(two!.liveness.receive(ONE, beat), undefined);
  }
  two!.clocks.advance(SUPPORT_MS - 500);
  assert.is(two!.liveness.supportedEpoch(ONE), 0, "None of them extended the support");
  one!.restart();
  nodes.introduce(one!);
  nodes.beat(1, 2);
  const { epoch } = one!.liveness.beat(TWO);
  assert.is(two!.liveness.supportedEpoch(ONE), epoch);
  two!.liveness.receive(ONE, { ...second, sequence: 1_000 });
  assert.is(two!.liveness.supportedEpoch(ONE), epoch);
  assert.ok(two!.liveness.beat(ONE).echo < 1_000);
});

test("a new run ends the support under every epoch of the earlier one, at once and for good", () => {
  const nodes = pair();
  const [one, two] = nodes.nodes;
  one!.restart();
  nodes.introduce(one!);
  const first = one!.liveness.beat(TWO);
  two!.liveness.receive(ONE, first);
  assert.is(two!.liveness.supportedEpoch(ONE), 0);
  const { refused } = two!.liveness.beat(ONE);
  assert.is(refused, 1);
  two!.liveness.receive(ONE, { ...first, sequence: 2, epoch: 1 });
  assert.is(two!.liveness.supportedEpoch(ONE), 0);
});

test("a node that is removed and added again does not get withdrawn support back", () => {
  const { nodes } = pair();
  const [one, two] = nodes;
  two!.liveness.removePeer(ONE);
  assert.is(two!.liveness.supportedEpoch(ONE), 1, "What was promised is held until it lapses");
  assert.is(two!.liveness.receive(ONE, one!.liveness.beat(TWO)), "unknown_peer");
  two!.clocks.advance(SUPPORT_MS);
  assert.is(two!.liveness.supportedEpoch(ONE), 0);
  two!.liveness.addPeer(ONE);
  one!.liveness.receive(TWO, two!.liveness.beat(ONE));
  two!.liveness.receive(ONE, one!.liveness.beat(TWO));
  assert.is(two!.liveness.supportedEpoch(ONE), 0);
  assert.is(two!.liveness.beat(ONE).refused, 1);
});

test("a node that is removed is counted on no more, added again only by a new answer", () => {
  const nodes = pair();
  const [one, two] = nodes.nodes;
  nodes.advance(BEAT_MS);
  two!.liveness.receive(ONE, one!.liveness.beat(TWO));
  const answer = two!.liveness.beat(ONE);
  one!.liveness.removePeer(TWO);
  assert.is(one!.liveness.receivedFrom(TWO), undefined);
  assert.is(one!.liveness.supportUntilMs(TWO), -Infinity);
  one!.liveness.addPeer(TWO);
  one!.liveness.receive(TWO, answer);
  assert.is(one!.liveness.supportUntilMs(TWO), -Infinity, "It answers what was sent before");
  nodes.round();
  assert.ok(one!.liveness.supportUntilMs(TWO) > 0);
});

test("poll reports begun and ended support, once", () => {
  const nodes = pair();
  const [one] = nodes.nodes;
  const { returned, lost, withdrawn, voided } = one!.liveness.poll();
  assert.equal([returned, lost, withdrawn, voided], [[TWO], [], [], false]);
  one!.clocks.advance(900);
  assert.equal(one!.liveness.poll(), {
    withdrawn: [],
    returned: [],
    lost: [],
    wake: [],
    voided: false,
  });
  one!.clocks.advance(COUNTED_MS - 900);
  assert.equal(one!.liveness.poll().lost, [TWO]);
  one!.clocks.advance(SUPPORT_MS - COUNTED_MS);
  assert.equal(one!.liveness.poll().withdrawn, [TWO]);
});

test("support that was replaced is reported as lost even if the new one already counts", () => {
  const nodes = pair();
  const [one] = nodes.nodes;
  one!.liveness.poll();
  one!.liveness.raiseEpoch(TWO, 2);
  nodes.beat(1, 2);
  const { lost, returned } = one!.liveness.poll();
  assert.equal(
    [lost, returned],
    [[TWO], [TWO]],
    "Promises under the old one do not count any more",
  );
});

test("beats are due for all peers that are not removed, and not while stalled", () => {
  const nodes = new LivenessNodes(4);
  const { liveness, clocks } = nodes.node(1);
  liveness.removePeer(nodeId(3));
  assert.equal(liveness.dueBeats(), [2, 4]);
  for (const node of liveness.dueBeats()) liveness.beat(node);
  assert.equal(liveness.dueBeats(), []);
  clocks.advance(BEAT_MS);
  liveness.stall(true);
  assert.equal(liveness.dueBeats(), []);
  liveness.stall(false);
  assert.equal(liveness.dueBeats(), [2, 4]);
  assert.throws(() => liveness.beat(nodeId(3)), /was not added/);
});

test("a beat whose numbers cannot be is refused by code and changes nothing", () => {
  const nodes = pair();
  const [one, two] = nodes.nodes;
  const good = one!.liveness.beat(TWO);
  const tooMany = Array.from({ length: BEAT_GROUPS_MAX + 1 }, () => ({ group: 1, term: 1 }));
  const bad: Partial<Beat>[] = [
    { run: 0 },
    { run: 1.5 },
    { run: 2 ** 53 },
    { sequence: 0 },
    { sequence: NaN },
    { sequence: -1 },
    { echoRun: 2 },
    { echo: 99 },
    { echo: 0 },
    { echoRun: 0 },
    { epoch: 0 },
    { supports: 2 },
    { supports: 1, refused: 1 },
    { supports: 1, granted: 0 },
    { refused: 2 },
    { granted: 3 },
    { promiseCount: -1 },
    { promiseHash: 2 ** 32 },
    { released: [{ group: -1, term: 1 }] },
    { released: tooMany },
    { asked: [{ group: 1, term: 0 }] },
  ];
  two!.clocks.advance(900);
  for (const change of bad) {
    assert.is(
      two!.liveness.receive(ONE, { ...good, ...change }),
      "malformed",
      JSON.stringify(change),
    );
  }
  assert.is(two!.liveness.receive(nodeId(9), good), "unknown_peer");
  two!.clocks.advance(SUPPORT_MS - 900);
  assert.is(two!.liveness.supportedEpoch(ONE), 0);
});

test("a node that is not supported is answered only once between two regular beats", () => {
  const nodes = new LivenessNodes(2);
  const [one, two] = nodes.nodes;
  const answers: unknown[] = [];
  for (let beats = 0; beats < 5; beats++) {
    answers.push(two!.liveness.receive(ONE, one!.liveness.beat(TWO)));
  }
  assert.equal(answers.map((answer) => typeof answer), [
    "object",
    "undefined",
    "undefined",
    "undefined",
    "undefined",
  ]);
});

test("times that do not fit each other are refused", () => {
  for (
    const change of [
      { driftPpm: -1 },
      { driftPpm: 500_000 },
      { beatMs: 0 },
      { beatMs: SUPPORT_MS },
      { marginMs: 10 },
      { jumpMs: 0 },
      { jumpMs: 149 },
      { slewPpm: -1 },
      { echoMsMax: 1 },
      { turnLateMs: 10 },
    ]
  ) {
    assert.throws(
      () => new LivenessNodes(1, { ...LIVENESS_TIMING, ...change }),
      (error: unknown) => error instanceof RangeError,
      JSON.stringify(change),
    );
  }
});

test.run();
