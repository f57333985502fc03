/** Stale records in a partition's state: how they come, stay, recover and end, alike on every replica. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../../src/base/assert.ts";
import { toHex } from "../../../src/base/bytes.ts";
import { STALE_LOOK_MS } from "../../../src/base/limits.ts";
import { encodeExpire, encodeExtend } from "../../../src/record/command.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { STALE_APPLY_VERSION } from "../../../src/record/kind_row.ts";
import { isStaleState } from "../../../src/record/record_state.ts";
import { GatewayRanking } from "../../../src/store/free_capacity.ts";
import type { OverdueJudge } from "../../../src/store/overdue.ts";
import { PartitionStore } from "../../../src/store/store.ts";
import { idOf, imageOf, newShared, StoreHarness } from "../../support/store.ts";

const TTL_MS = 30_000;
const COVER_MS = 2 * TTL_MS;
const TO_STALE: OverdueJudge = () => ({ lookAgainMs: 60_000 });

function leader(version = STALE_APPLY_VERSION): StoreHarness {
  const harness = new StoreHarness();
  if (version > 1) assert.is(harness.raise(version).code, "ok");
  harness.store.onBecomeLeader(0);
  return harness;
}

/** A leader with an agent that became stale at {@link COVER_MS}. */
function stale() {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.timeMs = COVER_MS;
  assert.is(harness.markStale(KIND_AGENT, 1, incarnation, COVER_MS).count, 1);
  return { harness, incarnation };
}

const isStale = (harness: StoreHarness) =>
  isStaleState(defined(harness.agent(1), "The agent is there").state);

test("a record becomes stale by a logged command: it is found, and its revision says when", () => {
  const { harness } = stale();
  const agent = harness.agent(1)!;
  assert.ok(isStaleState(agent.state));
  assert.equal([agent.leaseExpiryMs, agent.revision.index], [COVER_MS, harness.store.appliedIndex]);
  assert.is(harness.shared.counts.stale, 1);
  assert.is(harness.shared.counts.records[KIND_AGENT], 1);
  assert.is(harness.events.at(-1)?.type, "stale");
  assert.is(harness.store.remainingMs(harness.slotOf(KIND_AGENT, 1), harness.timeMs), 0);
});

test("an item that names another cover or incarnation, or a record that is stale, has no effect", () => {
  const { harness, incarnation } = stale();
  assert.is(harness.markStale(KIND_AGENT, 1, incarnation, COVER_MS).count, 0, "it is already");
  const fresh = leader();
  const { incarnation: other } = fresh.putAgent();
  assert.is(fresh.markStale(KIND_AGENT, 1, other, COVER_MS - 1).count, 0);
  const wrong = { generation: 1, index: 99 };
  assert.is(fresh.markStale(KIND_AGENT, 1, wrong, COVER_MS).count, 0);
  assert.not.ok(isStale(fresh));
});

test("expiry needs a permit from its version on; earlier logs apply as they did", () => {
  const early = leader(1);
  const { incarnation } = early.putAgent();
  early.timeMs = COVER_MS;
  assert.is(early.markStale(KIND_AGENT, 1, incarnation, COVER_MS).code, "invalid_argument");
  assert.is(early.expire(KIND_AGENT, 1, incarnation, COVER_MS).count, 1);
  const { harness, incarnation: held } = stale();
  assert.is(harness.expire(KIND_AGENT, 1, held, COVER_MS).count, 0, "without a permit");
  assert.is(harness.expire(KIND_AGENT, 1, held, COVER_MS, 7).count, 1);
  assert.is(harness.shared.counts.stale, 0);
  assert.is(harness.events.at(-1)?.type, "expired");
});

test("frozen: the bytes of an expiry of programs without permits are read as one without", () => {
  const item = { id: idOf(1), incarnation: { generation: 1, index: 2 }, kind: KIND_AGENT };
  const bytes = encodeExpire({ timeMs: 3, unixS: 4, writer: 0 }, [
    { ...item, leaseExpiryMs: 5, permit: 6 },
  ]);
  // The item has one word more than it had: the permit, which is last.
  assert.match(toHex(bytes), /0500000000000000(?:[0-9a-f]{16})?0600000000000000$/);
  const old = leader();
  const { incarnation } = old.putAgent();
  old.timeMs = COVER_MS;
  const now = encodeExpire(old.header, [{
    ...item,
    incarnation,
    leaseExpiryMs: COVER_MS,
    permit: 0,
  }]);
  assert.is(old.apply(withoutLastWord(now)).count, 0, "a guarded kind needs a permit");
  const early = leader(1);
  early.putAgent();
  early.timeMs = COVER_MS;
  assert.is(early.apply(withoutLastWord(now)).code, "ok");
});

/** Returns the command with items of 5 words of data instead of 6, as earlier programs wrote them. */
function withoutLastWord(command: Uint8Array): Uint8Array {
  const bytes = command.slice(0, -8);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    // The tag of the list: 1 item of 6 words of data; before it the list's pointer, of 6 words.
    if (view.getUint32(at, true) !== 4 || view.getUint32(at + 4, true) !== 6) continue;
    view.setUint32(at + 4, 5, true);
    view.setUint32(at - 4, (5 << 3) | 7, true);
    return bytes;
  }
  throw new Error("The command has no list of one item");
}

test("a renewal is answered once the extension that clears the flag is logged", () => {
  const { harness, incarnation } = stale();
  harness.timeMs += 1_000;
  const { store } = harness;
  const renew = () => store.renew(KIND_AGENT, idOf(1), 0, incarnation, harness.timeMs);
  assert.is(renew(), "needs_extension");
  assert.ok(isStale(harness));
  const options = { nowMs: harness.timeMs, unixS: 1, force: true };
  harness.apply(defined(store.extendCommand(options), "an extension waits"));
  assert.is(harness.events.at(-1)?.type, "recovered");
  assert.not.ok(isStale(harness));
  assert.is(renew(), "renewed");
  assert.is(store.remainingMs(harness.slotOf(KIND_AGENT, 1), harness.timeMs), TTL_MS);
  assert.is(
    store.overdueCommands({ nowMs: harness.timeMs + TTL_MS - 500, unixS: 1 }).expire,
    undefined,
  );
  assert.ok(store.overdueCommands({ nowMs: harness.timeMs + TTL_MS + 500, unixS: 1 }).expire);
});

test("a registration, a report and a deregistration of a stale record do what they say", () => {
  const again = stale().harness;
  assert.is(again.putAgent({ sequence: 5 }).code, "ok");
  assert.not.ok(isStale(again));
  assert.is(again.store.remainingMs(again.slotOf(KIND_AGENT, 1), again.timeMs), TTL_MS);
  assert.is(again.shared.counts.stale, 0);
  const reported = stale();
  const report = { kind: KIND_AGENT, state: 1, process: 11, sequence: 5 };
  assert.is(reported.harness.report(1, reported.incarnation, report).code, "ok");
  assert.is(reported.harness.agent(1)?.state, 3, "draining, and stale");
  const removed = stale();
  assert.is(removed.harness.remove(KIND_AGENT, 1, removed.incarnation).count, 1);
  assert.is(removed.harness.shared.counts.stale, 0);
});

test("an extension that was gathered before counts from its renewal", () => {
  const { harness, incarnation } = stale();
  const item = { id: idOf(1), incarnation, kind: KIND_AGENT, renewedAgo: 4 * 10 };
  assert.is(harness.apply(encodeExtend(harness.header, [item])).count, 1);
  assert.not.ok(isStale(harness));
  assert.is(
    harness.store.remainingMs(harness.slotOf(KIND_AGENT, 1), harness.timeMs),
    TTL_MS - 10_000,
  );
});

test("a stale holder gives its domain up to another agent only, and is told by its incarnation", () => {
  const harness = leader();
  const { claim } = harness.claim("a.example", 1);
  const { incarnation } = harness.putAgent({ domain: "a.example", claim });
  harness.timeMs = COVER_MS;
  assert.is(harness.revoke(1, claim, true).held, true, "a live one keeps it");
  assert.is(harness.markStale(KIND_AGENT, 1, incarnation, COVER_MS).count, 1);
  assert.is(harness.revoke(1, claim, false).held, true, "nobody else claims it");
  harness.events.length = 0;
  assert.is(harness.revoke(1, claim, true).held, false);
  assert.equal(harness.events.map(({ type }) => type), ["claim_dropped", "updated"]);
  const agent = harness.agent(1)!;
  assert.equal([agent.domain, agent.claim.index], ["", 0]);
  assert.ok(isStale(harness));
  assert.ok(agent.incarnation.index > incarnation.index);
  assert.is(harness.shared.counts.stale, 1);
});

test("an image keeps stale records, and a new leader asks about them soon", () => {
  const { harness } = stale();
  const store = new PartitionStore({ shared: newShared() });
  store.loadImage([imageOf(harness.store)]);
  assert.equal(imageOf(store), imageOf(harness.store));
  const nowMs = COVER_MS + 1_000;
  store.onBecomeLeader(nowMs);
  const asked: number[] = [];
  const judge: OverdueJudge = ({ isStale, staleMs }) => {
    asked.push(isStale ? staleMs : -1);
    return { permit: 5 };
  };
  assert.is(store.overdueCommands({ nowMs, unixS: 1, judge }).expire, undefined);
  const laterMs = nowMs + STALE_LOOK_MS + 250;
  assert.ok(store.overdueCommands({ nowMs: laterMs, unixS: 1, judge }).expire);
  assert.equal(asked, [laterMs - COVER_MS]);
});

test("a judge decides each overdue record: expired, stale, or left as it is", () => {
  const harness = leader();
  for (const number of [1, 2, 3]) harness.putAgent({ number });
  harness.timeMs = TTL_MS + 1_000;
  let next = 0;
  const verdicts = [{ permit: 9 }, { lookAgainMs: 5_000 }, undefined];
  const options = { nowMs: harness.timeMs, unixS: 1 };
  const commands = harness.store.overdueCommands({ ...options, judge: () => verdicts[next++] });
  assert.ok(commands.isUndecided);
  assert.is(harness.apply(commands.expire!).count, 1);
  assert.is(harness.apply(commands.stale!).count, 1);
  assert.is(harness.shared.counts.records[KIND_AGENT], 2);
  assert.is(harness.shared.counts.stale, 1);
  const again = harness.store.overdueCommands({ ...options, judge: TO_STALE });
  assert.is(harness.apply(again.stale!).count, 1, "the one that was left");
});

test("a record on its way to be stale is not extended from the time of its next check", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  const { store } = harness;
  // So soon after the registration that the gain is too small for an extension.
  const renewedMs = TTL_MS / 5;
  assert.is(store.renew(KIND_AGENT, idOf(1), 0, incarnation, renewedMs), "renewed");
  harness.timeMs = renewedMs + TTL_MS + 500;
  const at = { nowMs: harness.timeMs, unixS: 1 };
  const { stale: command } = store.overdueCommands({ ...at, judge: TO_STALE });
  assert.is(store.extendCommand({ ...at, force: true }), undefined);
  assert.is(harness.apply(defined(command, "It is overdue")).count, 1);
  assert.ok(isStale(harness));
});

test("a record of any ttl counts as silent once two renewals are missed, also at a new leader", () => {
  const harness = leader();
  harness.putAgent({ number: 1, ttlMs: 600_000 });
  harness.putAgent({ number: 2, ttlMs: TTL_MS });
  const silentAt = (nowMs: number) => {
    let silent = 0;
    const count = (_: number, isSilent: boolean) => void (silent += Number(isSilent));
    harness.store.guarded.census(nowMs, { add: count, addStale: () => {}, addOverdue: () => {} });
    return silent;
  };
  assert.is(silentAt(2 / 3 * TTL_MS - 500), 0);
  assert.is(silentAt(2 / 3 * TTL_MS + 500), 1);
  assert.is(silentAt(399_000), 1);
  assert.is(silentAt(401_000), 2);
  harness.store.onBecomeLeader(1_000);
  assert.is(silentAt(999_000), 1, "it knows the covers only");
  assert.is(silentAt(1_001_000), 2);
});

test("stale gateways come behind live ones, however free they are", () => {
  const harness = leader();
  const capacity = { cpu: 10, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 };
  const used = { ...capacity, cpu: 9 };
  const { incarnation } = harness.putGateway({ number: 1, capacity });
  harness.putGateway({ number: 2, capacity, used });
  const { leaseExpiryMs } = harness.gateway(1)!;
  harness.timeMs = leaseExpiryMs;
  assert.is(harness.markStale(KIND_GATEWAY, 1, incarnation, leaseExpiryMs).count, 1);
  const ranking = new GatewayRanking<PartitionStore>(9);
  const region = new TextEncoder().encode(harness.gateway(1)!.region);
  harness.store.rankGateways(region, ranking, { rankOf: () => Infinity }, () => true);
  assert.equal(ranking.ranked().map(({ id }) => toHex(id)), [2, 1].map((n) => toHex(idOf(n))));
});

test.run();
