/** The mirror of a governed plane: entries that are verified, proposals that are refused, the move of the home. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MIRRORED_ENTRIES_MAX } from "../../../src/base/limits.ts";
import {
  entryBytes,
  type GovernedEntry,
  readEntry,
} from "../../../src/governance/documents/entry.ts";
import { encodeBeginMirror } from "../../../src/governance/governance_codec.ts";
import { GovernanceStore } from "../../../src/governance/governance_store.ts";
import { verifyBundle } from "../../../src/governance/verification/verify_bundle.ts";
import {
  A,
  B,
  C,
  D,
  GovernanceHarness,
  signatureOf,
  signersBody,
} from "../../support/governance.ts";
import { isPrefix, RegionPlane } from "../../support/plane_mirror.ts";

function pair(count = 3): { readonly eu: RegionPlane; readonly us: RegionPlane } {
  const eu = new RegionPlane("eu-1");
  eu.publish(count);
  const us = RegionPlane.mirrorOf(eu, "us-1");
  return { eu, us };
}

/** Returns the last entry of a plane with changes. */
function forged(plane: RegionPlane, changes: Partial<GovernedEntry>) {
  const { entry, payload } = plane.plane.log.entries.at(-1)!;
  return { leaf: entryBytes({ ...entry, ...changes }, 2), payload };
}

test("a mirror takes the entries of its home, and serves what verifies by the same genesis", () => {
  const { eu, us } = pair();
  assert.equal(us.take(eu), { code: "ok", version: 3 });
  assert.ok(isPrefix(us, eu) && isPrefix(eu, us));
  assert.equal(us.plane.log.tree.root(), eu.plane.log.tree.root());
  const genesis = eu.genesis.hash;
  assert.ok(verifyBundle(us.bundleText("svc"), { genesis, id: "svc" }).ok);
  us.reload();
  assert.is(us.plane.home, "eu-1");
  assert.is(us.plane.isHome, false);
  eu.decide(eu.nextSigners(signersBody([A, B, D], 2)), [A, B, D]);
  eu.publish(1, "other");
  assert.equal(us.take(eu), { code: "ok", version: 5 });
  us.reload();
  assert.ok(isPrefix(eu, us));
});

test("a mirror takes no proposals but the move of the home to itself", () => {
  const { eu, us } = pair();
  us.take(eu);
  assert.is(us.propose(us.next({ id: "svc" }), [A, B]).code, "foreign_region");
  assert.is(us.propose(us.nextSigners(signersBody([A, B], 1)), [A, B]).code, "foreign_region");
  assert.is(us.propose(us.nextFreeze(true), [A]).code, "foreign_region");
  assert.is(us.propose(us.nextHome("ap-1"), [A, B]).code, "foreign_region");
  assert.is(us.propose(us.nextHome("us-1"), [A]).code, "ok");
  assert.is(us.plane.proposals.count, 1);
});

test("an entry without a quorum of the signers in force is refused, also in the midst of others", () => {
  const { eu, us } = pair();
  const [first, second, third] = eu.entriesAfter(0);
  const { approvals } = readEntry(third!.leaf);
  const wrongs = [
    [],
    approvals.slice(1),
    [approvals[0]!, approvals[0]!],
    [{ ...approvals[0]!, signature: new Uint8Array(64) }, approvals[1]!],
    approvals.map((one) => ({ ...one, set: 1 })),
  ];
  for (const wrong of wrongs) {
    const mirror = RegionPlane.mirrorOf(eu, "us-1");
    const refused = mirror.take([first!, second!, forged(eu, { approvals: wrong })]);
    assert.is(refused.code, "no_quorum");
    assert.is(mirror.store.version, 2);
  }
  const refused = us.take([first!, second!, forged(eu, { approvals: [approvals[0]!] })]);
  assert.is(refused.code, "no_quorum");
  assert.is(us.store.version, 2, "those before stand by their own signatures");
  assert.match(us.store.state.mirrorRefusal, /quorum/);
  assert.equal(us.take(eu), { code: "ok", version: 3 });
  assert.is(us.store.state.mirrorRefusal, "");
  assert.is(us.store.state.mirrorRefused, 1);
});

test("a refusal that repeats is audited once, and an image keeps it", () => {
  const { eu, us } = pair();
  us.take(eu.entriesAfter(0, 2));
  const wrong = [forged(eu, { approvals: [] })];
  us.take(wrong);
  const { count } = us.store.state.audit;
  us.take(wrong);
  assert.is(us.store.state.audit.count, count);
  assert.is(us.store.state.audit.records.at(-1)!.code, "no_quorum");
  us.reload();
  assert.is(us.store.state.mirrorRefused, 2);
  assert.match(us.store.state.mirrorRefusal, /quorum/);
});

test("an entry that is skipped, repeated, out of its chain or not what it names is refused", () => {
  const { eu, us } = pair();
  assert.is.not(us.take(eu.entriesAfter(1)).code, "ok");
  assert.is(us.store.version, 0);
  us.take(eu.entriesAfter(0, 2));
  assert.is.not(us.take(eu.entriesAfter(0, 2)).code, "ok");
  assert.is(us.take(eu.entriesAfter(2), 1).code, "incarnation_mismatch");
  const other = `sha256:${"0".repeat(64)}`;
  const last = readEntry(eu.entriesAfter(2)[0]!.leaf);
  const changes: Partial<GovernedEntry>[] = [
    { version: 4 },
    { previous: other },
    { heads: other },
    { proposal: 1 },
    { proposal: 2 ** 50 },
    { signers: 1 },
    { kind: "node" },
    { id: "svc2" },
    { idVersion: last.idVersion + 1 },
  ];
  for (const change of changes) {
    assert.is.not(us.take([forged(eu, change)]).code, "ok", JSON.stringify(change));
  }
  const payload = eu.plane.log.at(2)!.payload;
  assert.is.not(us.take([{ ...eu.entriesAfter(2)[0]!, payload }]).code, "ok");
  const leaf = new TextEncoder().encode(
    ` ${new TextDecoder().decode(eu.entriesAfter(2)[0]!.leaf)}`,
  );
  assert.is.not(us.take([{ ...eu.entriesAfter(2)[0]!, leaf }]).code, "ok");
  assert.is(us.store.version, 2);
  assert.is(us.take(eu).code, "ok");
});

test("a frozen home has no entries but its own, and a batch is bounded", () => {
  const { eu, us } = pair();
  us.take(eu);
  const late = eu.next({ id: "late" });
  eu.decide(eu.nextFreeze(true), [A]);
  us.take(eu);
  assert.ok(us.plane.isFrozen);
  const before = new RegionPlane("eu-1");
  before.publish(3);
  before.decide(late, [A, B]);
  assert.is.not(us.take([forged(before, { version: 5 })]).code, "ok");
  const many = Array.from({ length: MIRRORED_ENTRIES_MAX + 1 }, () => eu.entriesAfter(3)[0]!);
  assert.is(us.take(many).code, "malformed");
});

test("a quorum moves the home, and the old home follows the new one", () => {
  const { eu, us } = pair();
  us.take(eu);
  assert.is(eu.decide(eu.nextHome("us-1"), [A]), "no_quorum");
  assert.ok(eu.plane.isHome);
  assert.is(eu.decide(eu.nextHome("us-1"), [A, B]), "ok");
  assert.is(eu.plane.isHome, false);
  assert.is(eu.propose(eu.next({ id: "svc" }), [A, B]).code, "foreign_region");
  assert.is(us.plane.isHome, false, "it does not know yet");
  us.take(eu);
  assert.ok(us.plane.isHome);
  us.publish(2);
  assert.is(eu.take(us).code, "ok");
  assert.ok(isPrefix(us, eu));
  eu.reload();
  assert.is(eu.plane.home, "us-1");
});

test("a proposal that was open when the home moved is not applied at the old home", () => {
  const { eu, us } = pair();
  us.take(eu);
  const { proposal } = eu.propose(eu.next({ id: "late" }), [A, B]) as { proposal: number };
  eu.decide(eu.nextHome("us-1"), [A, B]);
  assert.is(eu.applied(proposal).code, "foreign_region");
  assert.is(eu.sign(proposal, [C]).code, "foreign_region");
});

test("a lost home is replaced by a quorum at the mirror, and follows once it is back", () => {
  const { eu, us } = pair();
  us.take(eu);
  const move = us.nextHome("us-1");
  assert.is(us.decide(move, [A]), "no_quorum");
  assert.is(us.decide(move, [C, B]), "ok");
  assert.ok(us.plane.isHome);
  us.publish(1);
  assert.is.not(eu.take(eu.entriesAfter(2)).code, "ok");
  assert.ok(eu.plane.isHome);
  assert.is(eu.take(us).code, "ok", "signatures say who the home is");
  assert.is(eu.plane.isHome, false);
  assert.ok(isPrefix(eu, us) && isPrefix(us, eu));
});

test("a home with entries that the new one lacks has diverged, and keeps what it has", () => {
  const { eu, us } = pair();
  us.take(eu);
  eu.publish(1, "unseen");
  us.decide(us.nextHome("us-1"), [A, B]);
  us.publish(1);
  const { version } = eu.store;
  assert.is(eu.take(us.entriesAfter(3)).code, "stale_version");
  assert.is(eu.store.version, version);
  assert.ok(eu.plane.isHome);
});

test("a home takes no entries of a region that no quorum made the home", () => {
  const home = pair(3).eu;
  const longer = pair(4).eu;
  assert.is(home.take(longer).code, "stale_version");
  assert.is(home.store.version, 3);
});

test("a frozen plane can be moved", () => {
  const { eu, us } = pair();
  eu.decide(eu.nextFreeze(true), [A]);
  us.take(eu);
  assert.is(us.decide(us.nextHome("us-1"), [A, B]), "ok");
  assert.ok(us.plane.isFrozen && us.plane.isHome);
  assert.is(us.decide(us.nextFreeze(false), [A, B]), "ok");
});

test("a mirrored entry closes the open proposal that has its number", () => {
  const { eu, us } = pair();
  us.take(eu);
  us.propose(us.nextHome("us-1"), [A]);
  assert.ok(us.plane.proposals.of(4));
  eu.publish(1);
  us.take(eu);
  assert.is(us.plane.proposals.of(4), undefined);
  const again = us.propose(us.nextHome("us-1"), [A, B]) as { proposal: number };
  assert.is(again.proposal, 5);
  assert.is(us.applied(5).code, "ok");
});

test("a mirror begins once, with another region and the genesis that is there", () => {
  const { eu, us } = pair();
  assert.is(us.begin(eu).code, "ok", "repeated");
  const other = new RegionPlane("ap-1");
  const genesis = new GovernanceHarness({ threshold: 1 }).genesis.bytes;
  const body = { genesis, home: "eu-1", region: "us-1", caller: "operator" };
  assert.is(us.apply(encodeBeginMirror(us.header, body)).code, "stale_version");
  for (const home of ["", "ap-1", "r".repeat(64)]) {
    const wrong = { genesis: other.genesis.bytes, home, region: "ap-1", caller: "operator" };
    assert.is(other.apply(encodeBeginMirror(other.header, wrong)).code, "invalid_argument");
  }
});

test("before their apply version neither mirrors nor moves of the home are known", () => {
  const old = new GovernanceHarness();
  const { eu } = pair();
  const body = { genesis: old.genesis.bytes, home: "eu-1", region: "us-1", caller: "operator" };
  assert.throws(
    () => old.apply(encodeBeginMirror(old.header, body)),
    ({ code }: { code: string }) => code === "unsupported_version",
  );
  const move = eu.nextHome("us-1");
  const first = { ...move.payload, schema: move.schema, version: 1, id: "@home" };
  assert.is(old.propose(old.next(first), [A, B]).code, "invalid_argument");
  const image = [...old.store.writeImage()].map((chunk) => chunk.slice());
  const loaded = new GovernanceStore();
  loaded.loadImage(image);
  assert.is(loaded.plane!.home, "");
  assert.ok(signatureOf(A, move));
});

test.run();
