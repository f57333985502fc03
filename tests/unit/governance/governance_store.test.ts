/** The governed plane: proposals, quorum, versions, signers, freeze, expiry, quotas and images. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  GOVERNED_COMMANDS_PER_CALLER_MAX,
  GOVERNED_COMMANDS_PER_ID_MAX,
  GOVERNED_MESSAGE_LENGTH_MAX,
  GOVERNED_QUOTA_WINDOW_MS,
  PROPOSAL_LIFE_MS,
  PROPOSALS_PER_ID_MAX,
  SIGNERS_MAX,
} from "../../../src/base/limits.ts";
import {
  encodeGovernInit,
  encodePropose,
  GOVERNANCE_KINDS,
} from "../../../src/governance/governance_codec.ts";
import { GovernedPlane } from "../../../src/governance/governed_plane.ts";
import { GovernanceStore } from "../../../src/governance/governance_store.ts";
import { encodeRaisePartitionVersion, encodeTick } from "../../../src/record/command.ts";
import { commandCodec } from "../../../schemas/gen/command.ts";
import {
  A,
  B,
  C,
  D,
  GovernanceHarness,
  signatureOf,
  signer,
  signersBody,
  testGenesis,
  type TestSigner,
} from "../../support/governance.ts";

const ID = "svc-storage@us-east-1";
/** The second key of signer a. */
const A2 = signer("a", 42);

test("GovernanceStore applies a proposal by request, once a quorum signed it", () => {
  const harness = new GovernanceHarness();
  const proposed = harness.propose(harness.next({ id: ID }), [A]);
  assert.equal(proposed, { code: "ok", proposal: 1, missing: 1 });
  assert.is(harness.applied(1).code, "no_quorum");
  assert.equal(harness.sign(1, [B]), { code: "ok", proposal: 1, missing: 0 });
  assert.is(harness.store.version, 0, "nothing applies itself");
  assert.equal(harness.applied(1), { code: "ok", proposal: 1, version: 1 });
  const { entry, read } = harness.plane.log.headOf(ID)!;
  assert.equal(read.payload.body, { n: 1 });
  assert.is(entry.previous, harness.genesis.hash);
  assert.equal(entry.approvals.map(({ signerId }) => signerId), ["a", "b"]);
});

test("GovernanceStore answers repeated commands with what came of the first", () => {
  const harness = new GovernanceHarness();
  const read = harness.next({ id: ID });
  harness.propose(read, [A]);
  assert.equal(harness.propose(read, [B]), { code: "ok", proposal: 1, missing: 0 });
  const applied = { code: "ok", proposal: 1, version: 1 };
  for (const again of [1, 2]) assert.equal(harness.applied(1), applied, `time ${again}`);
  assert.equal(harness.propose(read, [C]), applied);
  assert.equal(harness.sign(1, [C], read), applied);
  assert.is(harness.store.version, 1);
});

test("GovernanceStore counts a key once, and a signer once", () => {
  const harness = new GovernanceHarness();
  harness.propose(harness.next({ id: ID }), [A, A]);
  assert.equal(harness.sign(1, [A]), { code: "ok", proposal: 1, missing: 1 });
  // The key of a is changed: its owner has approved twice then, and counts once.
  assert.is(harness.decide(harness.nextSigners(signersBody([A2, B, C], 2)), [A2, B, C]), "ok");
  assert.equal(harness.sign(1, [A2]), { code: "ok", proposal: 1, missing: 1 });
  assert.is(harness.applied(1).code, "no_quorum");
});

test("GovernanceStore refuses signatures of others, and then keeps none of the command's", () => {
  const harness = new GovernanceHarness();
  const read = harness.next({ id: ID });
  assert.is(harness.propose(read, [A, D]).code, "bad_signature");
  assert.is(harness.plane.proposals.count, 0);
  harness.propose(read, []);
  assert.is(harness.sign(1, [B, D]).code, "bad_signature");
  assert.is(harness.sign(1, [B], harness.next({ id: "other" })).code, "bad_signature");
  assert.equal(harness.sign(1, [A]), { code: "ok", proposal: 1, missing: 1 });
});

test("GovernanceStore takes the next version after the hash of the one before, and no other", () => {
  const harness = new GovernanceHarness();
  const first = harness.next({ id: ID });
  assert.is(harness.decide(first), "ok");
  const second = harness.next({ id: ID });
  const changes = [
    { version: 3 },
    { version: 1, prev_hash: `b3:${"0".repeat(64)}`, body: { n: "replaced" } },
    { prev_hash: `b3:${"1".repeat(64)}` },
  ];
  for (const change of changes) {
    assert.is(harness.decide(harness.next({ id: ID, ...change })), "stale_version");
  }
  assert.is(harness.decide(second), "ok");
  assert.is(harness.store.version, 2);
  assert.is(harness.plane.log.stateOf(harness.plane.log.at(1)!), "replaced");
});

test("GovernanceStore counts no signature of one version for the next one", () => {
  const harness = new GovernanceHarness();
  const first = harness.next({ id: ID });
  assert.is(harness.decide(first), "ok");
  const next = harness.next({ id: ID, body: first.payload.body });
  const signatures = [A, B].map((one) => signatureOf(one, first));
  const replay = encodePropose(harness.header, {
    payload: next.bytes,
    signatures,
    caller: "x",
    region: "",
  });
  assert.is(harness.apply(replay).code, "bad_signature");
});

test("GovernanceStore applies one of two proposals for a version, and closes the other", () => {
  const harness = new GovernanceHarness();
  harness.propose(harness.next({ id: ID, body: { n: "x" } }), [A, B]);
  harness.propose(harness.next({ id: ID, body: { n: "y" } }), [A, B]);
  assert.is(harness.applied(2).code, "ok");
  assert.is(harness.applied(1).code, "not_found");
  assert.equal(harness.plane.log.headOf(ID)!.read.payload.body, { n: "y" });
  const outdated = harness.store.state.audit.records.find(({ action }) => action === 6);
  assert.is(outdated?.proposal, 1);
});

test("GovernanceStore keeps the kind of a descriptor", () => {
  const harness = new GovernanceHarness();
  harness.decide(harness.next({ id: ID }));
  assert.is(harness.decide(harness.next({ id: ID, kind: "node" })), "invalid_argument");
});

test("GovernanceStore deprecates and supersedes, and publishes again", () => {
  const harness = new GovernanceHarness();
  harness.decide(harness.next({ id: ID }));
  const body = { reason: "KeyCompromise", body: { n: "good" } };
  assert.is(harness.decide(harness.next({ id: ID, schema: "supersession/1", body })), "ok");
  const deprecation = { id: ID, schema: "deprecation/1", body: { reason: "unused" } };
  assert.is(harness.decide(harness.next(deprecation)), "ok");
  assert.is(harness.decide(harness.next(deprecation)), "invalid_argument");
  const states = () =>
    harness.plane.log.versionsOf(ID).map((entry) => harness.plane.log.stateOf(entry));
  assert.equal(states(), ["superseded", "replaced", "deprecated"]);
  assert.is(harness.decide(harness.next({ id: ID })), "ok");
  assert.equal(states(), ["superseded", "replaced", "replaced", "published"]);
});

test("GovernanceStore expires a proposal after its time, in group time", () => {
  const harness = new GovernanceHarness();
  const start = harness.timeMs;
  harness.propose(harness.next({ id: ID }), [A, B]);
  // The wall clock of a node may be wrong by years.
  harness.unixS += 10 * 365 * 86_400;
  harness.timeMs = start + PROPOSAL_LIFE_MS - 1;
  assert.is(harness.sign(1, [C]).code, "ok");
  harness.timeMs = start + PROPOSAL_LIFE_MS;
  assert.is(harness.applied(1).code, "not_found");
  assert.is(harness.store.version, 0);
  assert.equal(harness.store.state.audit.records.slice(-2).map(({ code }) => code), [
    "ok",
    "not_found",
  ]);
});

test("GovernanceStore changes signers under the quorum of the old and the new set", () => {
  const harness = new GovernanceHarness();
  const body = signersBody([C, D, signer("e")], 3);
  const next = harness.nextSigners(body);
  assert.equal(harness.propose(next, [C, D, signer("e")]), { code: "ok", proposal: 1, missing: 1 });
  assert.is(harness.applied(1).code, "no_quorum", "the new set alone");
  const other = harness.nextSigners(signersBody([D, signer("e")], 2));
  harness.propose(other, [A, B]);
  assert.is(harness.applied(2).code, "no_quorum", "the old set alone");
  harness.sign(1, [A]);
  assert.is(harness.applied(1).code, "ok");
  assert.is(harness.decide(harness.next({ id: ID }), [A, B]), "bad_signature");
  assert.is(harness.decide(harness.next({ id: ID }), [C, D]), "no_quorum");
  assert.is(harness.decide(harness.next({ id: "another" }), [C, D, signer("e")]), "ok");
});

test("GovernanceStore counts what a retired key approved before, and nothing after", () => {
  const harness = new GovernanceHarness();
  harness.propose(harness.next({ id: ID }), [A]);
  harness.propose(harness.next({ id: "later" }), [B]);
  assert.is(harness.decide(harness.nextSigners(signersBody([A2, B, C], 2)), [A, A2, B]), "ok");
  assert.is(harness.sign(2, [A]).code, "bad_signature");
  harness.sign(1, [B]);
  assert.is(harness.applied(1).code, "ok");
});

test("GovernanceStore counts nothing that a revoked key approved, whenever it did", () => {
  const harness = new GovernanceHarness();
  harness.propose(harness.next({ id: ID }), [A, B]);
  const revoking = signersBody([A2, B, C], 2, [A]);
  assert.is(harness.decide(harness.nextSigners(revoking), [A2, B, C]), "ok");
  assert.is(harness.applied(1).code, "no_quorum");
  assert.is(harness.sign(1, [A]).code, "bad_signature");
  harness.sign(1, [C]);
  assert.is(harness.applied(1).code, "ok");
});

test("GovernanceStore lets no revoked key back, and no key change its signer", () => {
  const harness = new GovernanceHarness();
  harness.decide(harness.nextSigners(signersBody([A2, B, C], 2, [A])), [A2, B, C]);
  const wrong = [
    signersBody([A2, B, C], 2),
    signersBody([A, B, C], 2, [A]),
    signersBody([A2, B, { id: "c", key: B.key }], 2, [A]),
    signersBody([A2, { id: "d", key: B.key }], 1, [A]),
    signersBody([A2, { id: "b", key: A.key }], 1, [A]),
    signersBody([A2, B], 3, [A]),
    signersBody([A2, B], 0, [A]),
    { ...signersBody([A2, B], 1, [A]), checkpoint_keys: [B.key.text] },
    { ...signersBody([A2, B], 1, [A]), checkpoint_keys: [] },
  ];
  for (const body of wrong) {
    assert.is(harness.decide(harness.nextSigners(body), [A2, B]), "invalid_argument");
  }
});

test("GovernanceStore is frozen by one signer, and thawed by a quorum only", () => {
  const harness = new GovernanceHarness();
  harness.propose(harness.next({ id: ID }), [A, B]);
  assert.is(harness.decide(harness.nextFreeze(true), []), "no_quorum");
  assert.is(harness.decide(harness.nextFreeze(true), [C]), "ok");
  assert.is(harness.applied(1).code, "frozen");
  assert.is(harness.decide(harness.nextSigners(signersBody([A, B, D], 2, [C])), [A, B]), "ok");
  assert.is(harness.decide(harness.nextFreeze(false), [A]), "no_quorum");
  assert.is(harness.decide(harness.nextFreeze(false), [A, B]), "ok");
  assert.is(harness.applied(1).code, "ok");
});

test("GovernanceStore lets one signer freeze once, and not take the version of the thaw", () => {
  const harness = new GovernanceHarness();
  assert.is(harness.decide(harness.nextFreeze(false), [A, B]), "invalid_argument");
  assert.is(harness.decide(harness.nextFreeze(true), [C]), "ok");
  const thaw = harness.propose(harness.nextFreeze(false), [A]);
  assert.is(harness.decide(harness.nextFreeze(true), [C]), "invalid_argument");
  const proposal = thaw.code === "ok" ? thaw.proposal! : 0;
  harness.sign(proposal, [B]);
  assert.is(harness.applied(proposal).code, "ok");
  assert.is(harness.decide(harness.nextFreeze(true), [C]), "ok", "a later emergency");
});

test("GovernanceStore freezes by no key that was retired before it signed for it", () => {
  const harness = new GovernanceHarness();
  harness.propose(harness.nextFreeze(true), [A]);
  harness.decide(harness.nextSigners(signersBody([A2, B, C], 2)), [A, A2, B]);
  assert.is(harness.applied(1).code, "no_quorum");
});

test("GovernanceStore makes the region map of what is published", () => {
  const harness = new GovernanceHarness();
  const region = (region_id: string, port: number) => ({
    region_id,
    services: [{ id: "storage", addr: `10.0.0.1:${port}`, tls: true, weight: 100 }],
  });
  const map = { kind: "region_map" };
  assert.is(harness.decide(harness.next({ ...map, id: "us", body: region("us-1", 1) })), "ok");
  assert.is(harness.decide(harness.next({ ...map, id: "eu", body: region("eu-1", 2) })), "ok");
  const taken = harness.next({ ...map, id: "us2", body: region("us-1", 3) });
  assert.is(harness.decide(taken), "invalid_argument");
  assert.equal(harness.plane.log.regionMap, {
    version: 2,
    regions: {
      "eu-1": { services: region("eu-1", 2).services },
      "us-1": { services: region("us-1", 1).services },
    },
  });
  assert.is(harness.decide(harness.next({ id: "us", body: region("us-2", 4) })), "ok");
  const reason = { reason: "moved" };
  assert.is(
    harness.decide(harness.next({ id: "eu", schema: "deprecation/1", body: reason })),
    "ok",
  );
  // Its version tells readers of the region that is gone, too.
  const { version, regions } = harness.plane.log.regionMap;
  assert.equal([version, Object.keys(regions)], [4, ["us-2"]]);
  assert.is(harness.decide(harness.next({ ...map, id: "us2", body: region("us-1", 3) })), "ok");
  const before = harness.plane.log.regionMap;
  assert.equal([before.version, Object.keys(before.regions)], [5, ["us-1", "us-2"]]);
  harness.reload();
  assert.equal(harness.plane.log.regionMap, before);
});

test("GovernanceStore takes no proposals before its genesis, and has one genesis", () => {
  const harness = new GovernanceHarness();
  const bare = new GovernanceStore();
  const command = encodePropose(harness.header, {
    payload: harness.next({ id: ID }).bytes,
    signatures: [],
    caller: "x",
    region: "",
  });
  assert.is(bare.apply({ index: 1, data: command }).code, "permission_denied");
  assert.is(bare.version, 0);
  const init = (bytes: Uint8Array) =>
    harness.apply(encodeGovernInit(harness.header, { genesis: bytes, caller: "x" })).code;
  assert.is(init(harness.genesis.bytes), "ok");
  assert.is(init(testGenesis([D], 1).bytes), "stale_version");
  assert.is(init(new Uint8Array(9)), "invalid_argument");
  assert.is(init(new TextEncoder().encode('{"schema":{"toString":1}}')), "invalid_argument");
  const text = new TextDecoder().decode(harness.genesis.bytes);
  const later = text.replace("genesis/1", "genesis/2");
  assert.is(init(new TextEncoder().encode(later)), "invalid_argument");
});

test("GovernanceStore bounds proposals and commands, and counts what it refused for that", () => {
  const harness = new GovernanceHarness();
  for (let at = 0; at < PROPOSALS_PER_ID_MAX; at++) {
    assert.is(harness.propose(harness.next({ id: ID, body: { at } })).code, "ok");
  }
  assert.is(harness.propose(harness.next({ id: ID, body: { at: -1 } })).code, "overloaded");
  for (let used = PROPOSALS_PER_ID_MAX + 1; used < GOVERNED_COMMANDS_PER_ID_MAX; used++) {
    assert.is(harness.applied(1).code, "no_quorum");
  }
  const { audit, quotas } = harness.store.state;
  const { count } = audit;
  const refused = harness.applied(1);
  assert.is(refused.code, "overloaded");
  assert.is("retryAfterMs" in refused && refused.retryAfterMs! > 0, true);
  assert.equal([quotas.refused, audit.count], [1, count], "a flood does not fill the audit");
  assert.is(harness.propose(harness.next({ id: "another" })).code, "ok");
  harness.reload();
  assert.is(harness.applied(1).code, "overloaded");
  harness.timeMs += GOVERNED_QUOTA_WINDOW_MS;
  assert.is(harness.applied(1).code, "no_quorum");
});

test("GovernanceStore counts each signature and each key to check in the quota of the caller", () => {
  const harness = new GovernanceHarness();
  const read = harness.next({ id: ID });
  const used = () => new Map(harness.store.state.quotas.counts).get("caller proposer");
  harness.propose(read, [A, A, A]);
  assert.is(used(), 1 + 3);
  harness.propose(harness.nextSigners(signersBody([A2, B, C], 2, [A])), [A]);
  assert.is(used(), 4 + 1 + 1 + 5);
  const others = Array<TestSigner>(SIGNERS_MAX).fill(D);
  let count = 1;
  while (harness.propose(read, others).code === "bad_signature") count++;
  assert.is(count, Math.ceil((GOVERNED_COMMANDS_PER_CALLER_MAX - 11) / (1 + SIGNERS_MAX)));
});

test("GovernanceStore lets nobody who only proposes keep the signers out", () => {
  const harness = new GovernanceHarness();
  const flood = (id: string) => {
    const fields = id === ID ? {} : { schema: "freeze/1", kind: "freeze" };
    let last = "ok";
    for (let at = 0; at <= GOVERNED_COMMANDS_PER_ID_MAX; at++) {
      const body = id === ID ? { at } : { frozen: true, reason: `flood ${at}` };
      last = harness.propose(harness.next({ id, ...fields, body }), [], "flooder").code;
    }
    assert.is(last, "overloaded");
  };
  flood(ID);
  flood("@freeze");
  assert.is(harness.plane.proposals.count, 2 * PROPOSALS_PER_ID_MAX);
  assert.is(harness.decide(harness.next({ id: ID, body: { n: "signed" } })), "ok");
  assert.is(harness.decide(harness.nextFreeze(true), [C]), "ok");
  const evicted = harness.store.state.audit.records.filter(({ action }) => action === 7);
  assert.is(evicted.length, 2);
  // Signed proposals give way to none.
  harness.decide(harness.nextFreeze(false), [A, B]);
  for (let at = 0; at < PROPOSALS_PER_ID_MAX; at++) {
    assert.is(harness.propose(harness.next({ id: ID, body: { at } }), [A]).code, "ok");
  }
  assert.is(harness.propose(harness.next({ id: ID, body: { at: -1 } }), [B]).code, "overloaded");
});

test("GovernanceStore bounds the approvals of a proposal, which an entry can hold", () => {
  const setOf = (from: number) =>
    Array.from({ length: SIGNERS_MAX }, (_, at) => signer(`s${at}`, from + at));
  const sets = [2, 2 + SIGNERS_MAX, 2 + 2 * SIGNERS_MAX].map(setOf);
  const harness = new GovernanceHarness({ signers: sets[0]!, threshold: 1 });
  harness.propose(harness.next({ id: ID }), sets[0]);
  const change = (set: TestSigner[], signed: TestSigner[]) =>
    harness.decide(harness.nextSigners(signersBody(set, 1)), signed);
  assert.is(change(sets[1]!, [sets[0]![0]!, sets[1]![0]!]), "ok");
  assert.is(harness.sign(1, sets[1]!).code, "ok");
  assert.is(change(sets[2]!, [sets[1]![0]!, sets[2]![0]!]), "ok");
  assert.is(harness.sign(1, sets[2]!.slice(0, 1)).code, "overloaded");
  assert.is(harness.applied(1).code, "ok");
  assert.ok(harness.plane.log.at(3)!.leaf.length < 65_536);
  harness.reload();
});

test("GovernanceStore records what was refused, with its caller and reason", () => {
  const harness = new GovernanceHarness();
  const read = harness.next({ id: ID });
  harness.propose(read, [D], "spiffe://x/agent");
  const last = harness.store.state.audit.records.at(-1)!;
  assert.equal([last.action, last.code, last.caller], [2, "bad_signature", "spiffe://x/agent"]);
  assert.equal([last.id, last.contentId], [ID, read.contentId]);
  assert.match(last.message, /signature of d/);
});

test("GovernanceStore refuses what is no payload of its apply version, alike on every program", () => {
  const harness = new GovernanceHarness();
  const propose = (text: string) => {
    const payload = new TextEncoder().encode(text);
    const command = { payload, signatures: [], caller: "x", region: "" };
    return harness.apply(encodePropose(harness.header, command));
  };
  const read = new TextDecoder().decode(harness.next({ id: ID }).bytes);
  assert.equal(propose(read.replace("descriptor/1", "descriptor/2")), {
    code: "invalid_argument",
    message: 'Schema must be descriptor/1: found "descriptor/2"',
  });
  const named = propose(read.replace("{", `{"${"x".repeat(9_999)}":1,`));
  assert.is("message" in named && named.message.length, GOVERNED_MESSAGE_LENGTH_MAX);
  // Its schema cannot be converted to a text.
  assert.is(propose('{"schema":{"toString":1}}').code, "invalid_argument");
  assert.equal(propose("{'a':1}"), {
    code: "invalid_argument",
    message: "Payload must be strict JSON: It is not JSON",
  });
});

test("GovernanceStore continues from an image with proposals, signers and freeze", () => {
  const harness = new GovernanceHarness();
  harness.decide(harness.next({ id: ID }));
  harness.decide(harness.nextSigners(signersBody([A2, B, C], 2, [A])), [A2, B, C]);
  harness.decide(harness.nextFreeze(true), [B]);
  harness.propose(harness.next({ id: ID }), [C]);
  const root = harness.plane.log.tree.root();
  harness.reload();
  assert.equal(harness.plane.log.tree.root(), root);
  assert.is(harness.plane.isFrozen, true);
  assert.is(harness.sign(4, [A]).code, "bad_signature");
  assert.is(harness.decide(harness.nextFreeze(false), [B, C]), "ok");
  harness.sign(4, [B]);
  assert.equal(harness.applied(4), { code: "ok", proposal: 4, version: 5 });
  assert.is(harness.propose(harness.next({ id: "n" })).code, "ok");
});

test("GovernanceStore loads no image that was changed", () => {
  const harness = new GovernanceHarness();
  for (const id of ["one", "two"]) harness.decide(harness.next({ id }));
  const image = [...harness.store.writeImage()].map((chunk) => chunk.slice());
  const load = (chunks: readonly Uint8Array[]) => () => new GovernanceStore().loadImage(chunks);
  assert.throws(load(image.slice(0, -1)), /whole frames/);
  const text = new TextDecoder("latin1").decode(image[5]!);
  const payloadAt = text.indexOf('"n":1') + 4;
  image[5]![payloadAt] = 0x32;
  const store = new GovernanceStore();
  store.loadImage(image);
  assert.throws(() => store.plane!.log.at(1)!.read, /payload of one, version 1/);
  assert.is(store.plane!.log.at(2)!.read.payload.id, "two");
  // What needs it stops the replica, as others have another state.
  const next = harness.next({ id: "one", schema: "deprecation/1", body: { reason: "drill" } });
  const command = encodePropose(harness.header, {
    payload: next.bytes,
    signatures: [],
    caller: "x",
    region: "",
  });
  const index = store.appliedIndex + 1;
  assert.throws(() => store.apply({ index, data: command }), /payload of one, version 1/);
  image[5]![payloadAt] = 0x31;
  const last = new TextDecoder("latin1").decode(image[6]!);
  const headsAt = last.indexOf('"heads":"sha256:') + 16;
  image[6]![headsAt] = image[6]![headsAt] === 0x30 ? 0x31 : 0x30;
  assert.throws(load(image), /the entry of two, version 1/);
  assert.throws(load([]), /whole frames/);
});

test("GovernanceStore loads images of programs that read every document", () => {
  const harness = new GovernanceHarness();
  for (const id of ["one", "two", "one"]) harness.decide(harness.next({ id }));
  const { log, genesis } = harness.plane;
  const older = new GovernedPlane(genesis);
  const empty = new Uint8Array(0);
  for (const { leaf, payload } of log.entries) {
    const rest = { leafHash: empty, contentHash: empty, id: "", kind: "" };
    older.load({ leaf, payload, ...rest, idVersion: 0, proposal: 0, signers: 0 });
  }
  older.log.checkLoaded();
  assert.equal(older.log.tree.root(), log.tree.root());
  assert.equal(older.log.recordOf(3), log.recordOf(3));
});

test("GovernanceStore stops at a command or version that only a later program knows", () => {
  const { store, header } = new GovernanceHarness();
  const apply = (data: Uint8Array) => store.apply({ index: store.appliedIndex + 1, data });
  const later = commandCodec.encode({ ...header, kind: 99 });
  assert.throws(() => apply(later), /command kind 99/);
  assert.throws(() => apply(encodeRaisePartitionVersion(header, 77)), /apply version 77/);
  assert.is(apply(encodeRaisePartitionVersion(header, 1)).code, "incarnation_mismatch");
  assert.is(apply(encodeTick(header)).code, "ok");
  assert.is(apply(commandCodec.encode({ ...header, kind: 1 })).code, "malformed");
  const inImages = commandCodec.encode({ ...header, kind: GOVERNANCE_KINDS.entry });
  assert.is(apply(inImages).code, "malformed");
  assert.is(apply(Uint8Array.of(1, 2, 3)).code, "malformed");
  // A time above 2^53 cannot be read as a number.
  const late = encodeTick(header).slice();
  late[14] = 0x20;
  assert.is(apply(late).code, "malformed");
});

test.run();
