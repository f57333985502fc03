/** Bans: by each of the three names, on open sessions, within their time. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BanList, type EnforcedBan } from "../../../../identity/trust/ban_list.ts";
import { LISTED_BANS_MAX } from "../../../../src/base/limits.ts";
import { codeOfCall } from "../../../support/refusal.ts";

const SUBJECT = "spiffe://registry.example/region/eu/agent/6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";
const TOKEN = "0b5d3c52-6b1f-4b6e-9a3e-0d1b2c3d4e5f";
const identity = { subject: SUBJECT, lineage: 7, tokenIds: [TOKEN] };

const BANS: readonly EnforcedBan[] = [
  { kind: "subject", name: SUBJECT, reason: "left" },
  { kind: "lineage", name: "7", reason: "stolen" },
  { kind: "token", name: TOKEN, reason: "leaked" },
];

for (const ban of BANS) {
  test(`a ban by ${ban.kind} ends an open session in the same turn, and says why`, () => {
    const list = new BanList();
    const watch = list.watch(identity);
    const other = list.watch({ subject: SUBJECT + "0", lineage: 8, tokenIds: ["x"] });
    assert.not(watch.signal.aborted);
    list.ban(ban);
    assert.ok(watch.signal.aborted);
    assert.is(watch.signal.reason.code, "unauthenticated");
    assert.match(watch.signal.reason.message, ban.reason);
    assert.not(other.signal.aborted);
    assert.equal(list.banOf(identity), ban);
    assert.is(list.banOf({ subject: SUBJECT + "0" }), undefined);
  });

  test(`a session that begins under a ban by ${ban.kind} is over at once`, () => {
    const list = new BanList();
    list.ban(ban);
    assert.ok(list.watch(identity).signal.aborted);
    list.unban(ban.kind, ban.name);
    assert.not(list.watch(identity).signal.aborted);
  });
}

test("a ban of a capability ends what it opened, and no identity", () => {
  const list = new BanList();
  const capability = { subject: `capability:${TOKEN}`, lineage: 0, capabilityId: TOKEN };
  const watch = list.watch(capability);
  const token = list.watch(identity);
  list.ban({ kind: "token", name: TOKEN, reason: "" });
  list.ban({ kind: "subject", name: capability.subject, reason: "" });
  assert.equal([watch.signal.aborted, token.signal.aborted], [false, true]);
  assert.is(list.isCapabilityBanned(TOKEN), false);
  list.ban({ kind: "capability", name: TOKEN, reason: "leaked" });
  assert.match(watch.signal.reason.message, "banned by its capability: leaked");
  assert.is(list.isCapabilityBanned(TOKEN), true);
});

test("a name of one kind is no name of another", () => {
  const list = new BanList();
  list.ban({ kind: "token", name: SUBJECT, reason: "" });
  assert.is(list.banOf({ subject: SUBJECT }), undefined);
  list.ban({ kind: "token", name: "7", reason: "" });
  assert.is(list.banOf({ subject: SUBJECT, lineage: 7 }), undefined);
});

test("a token that a session takes up later is watched from then on", () => {
  const list = new BanList();
  const watch = list.watch({ subject: SUBJECT });
  watch.useToken(TOKEN);
  watch.useToken(TOKEN);
  list.ban(BANS[2]!);
  assert.ok(watch.signal.aborted);
  const late = list.watch({ subject: SUBJECT });
  late.useToken(TOKEN);
  assert.ok(late.signal.aborted);
});

test("a token that gave way to another concerns a session no more, and leaves nothing behind", () => {
  const list = new BanList();
  const watch = list.watch({ subject: SUBJECT });
  watch.useToken(TOKEN);
  watch.useToken("another");
  assert.is(list.watchedNames, 2);
  list.ban(BANS[2]!);
  assert.not(watch.signal.aborted);
  watch.close();
  assert.is(list.watchedNames, 0);
});

test("a watch that is closed by the ban that it hears of leaves nothing behind", () => {
  const list = new BanList();
  list.ban(BANS[2]!);
  const watch = list.watch({ subject: SUBJECT });
  watch.signal.addEventListener("abort", () => watch.close());
  watch.useToken(TOKEN);
  assert.ok(watch.signal.aborted);
  assert.is(list.watchedNames, 0);
});

test("ban: all sessions of the identity end", () => {
  const list = new BanList();
  const watches = Array.from({ length: 100 }, () => list.watch(identity));
  list.ban(BANS[1]!);
  assert.ok(watches.every(({ signal }) => signal.aborted));
});

test("sessions that are over leave nothing behind, banned or not", () => {
  const list = new BanList();
  const watches = Array.from({ length: 10 }, () => list.watch(identity));
  assert.is(list.watchedNames, 3);
  list.ban(BANS[0]!);
  for (const watch of watches) watch.close();
  assert.is(list.watchedNames, 0);
  const closed = list.watch({ subject: "another" });
  closed.close();
  list.ban({ kind: "subject", name: "another", reason: "" });
  assert.not(closed.signal.aborted);
});

test("version changes with each change and with nothing else", () => {
  const list = new BanList();
  const versions = [list.version];
  const step = (run: () => void) => {
    run();
    versions.push(list.version);
  };
  step(() => list.ban(BANS[0]!));
  step(() => list.ban({ ...BANS[0]!, reason: "again" }));
  step(() => void list.unban("subject", SUBJECT));
  assert.is(new Set(versions).size, 4);
  const before = list.version;
  assert.not(list.unban("subject", SUBJECT));
  list.dropEnded(1e15);
  list.banOf(identity);
  assert.is(list.version, before);
});

test("replaceAll makes the list what it is given, and tells whom it concerns", () => {
  const list = new BanList();
  list.ban({ kind: "token", name: "old", reason: "" });
  const watch = list.watch(identity);
  list.replaceAll(BANS);
  assert.equal(list.entries(), [...BANS]);
  assert.ok(watch.signal.aborted);
  list.replaceAll([]);
  assert.is(list.size, 0);
});

test("dropEnded drops bans at their end, and those without one never", () => {
  const list = new BanList();
  list.ban({ kind: "token", name: TOKEN, reason: "", untilMs: 1_000 });
  list.ban({ kind: "subject", name: SUBJECT, reason: "" });
  assert.is(list.dropEnded(999), 0);
  assert.is(list.dropEnded(1_000), 1);
  assert.equal(list.entries().map(({ kind }) => kind), ["subject"]);
});

test("a full list refuses one more, and still takes a change of an old one", () => {
  const list = new BanList();
  for (let id = 1; id <= LISTED_BANS_MAX; id++) {
    list.ban({ kind: "lineage", name: `${id}`, reason: "" });
  }
  assert.is(codeOfCall(() => list.ban(BANS[0]!)), "overloaded");
  assert.is(codeOfCall(() => list.ban({ kind: "lineage", name: "1", reason: "more" })), "ok");
  list.unban("lineage", "2");
  assert.is(codeOfCall(() => list.ban(BANS[0]!)), "ok");
});

test("ban refuses names that cannot exist, by code", () => {
  const list = new BanList();
  const bad: EnforcedBan[] = [
    { kind: "subject", name: "", reason: "" },
    { kind: "subject", name: "a".repeat(401), reason: "" },
    { kind: "lineage", name: "07", reason: "" },
    { kind: "lineage", name: "-1", reason: "" },
    { kind: "token", name: TOKEN, reason: "é".repeat(128) },
    { kind: "token", name: TOKEN, reason: "", untilMs: 0.5 },
  ];
  for (const ban of bad) assert.is(codeOfCall(() => list.ban(ban)), "invalid_argument");
  assert.is(list.size, 0);
});

test.run();
