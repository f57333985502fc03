/** The governed plane through the SDK at a real registry: proposals, reads, waiting, bundles, and who may. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { CapabilityRights } from "../../../src/base/capability.ts";
import type { AuthenticatedPeer, Role } from "../../../src/base/peer.ts";
import { GovernedVerifier } from "../../../src/client/governed/governed_verifier.ts";
import type { ReadPayload } from "../../../src/governance/documents/payload.ts";
import { readGenesis } from "../../../src/governance/documents/genesis.ts";
import { canonicalJson } from "../../../src/signing/canonical_json.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { A, B, C, D, signatureOf } from "../../support/governance.ts";
import { firstSigners, placeGoverned, servicePayload } from "../../support/governed_registry.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";

/** A registry whose governed plane is placed, and a client. */
async function placed(role?: Role) {
  const harness = await RegistryHarness.open({
    ...(role === undefined
      ? {}
      : { peer: (revoked) => ({ ...developmentPeer({ region: "eu", revoked }), role }) }),
  });
  await placeGoverned(harness);
  return { harness, client: await harness.client() };
}

/** Runs a call in the harness's world, and returns the code of its refusal. */
async function refusalOf(harness: RegistryHarness, call: Promise<unknown>): Promise<string> {
  const settled = await harness.world.wait(call.then(() => "none", (error) => {
    assert.instance(error, RegistryError);
    return error.code as string;
  }));
  return settled;
}

test("the governed plane: nothing is placed before all members know it", async () => {
  const harness = await RegistryHarness.open();
  const { governed } = await harness.client();
  assert.is(await refusalOf(harness, governed.status()), "overloaded");
});

test("the governed plane: a proposal gathers signatures, is applied by request, and once", async () => {
  const { harness, client: { governed } } = await placed();
  const { wait } = harness.world;
  const run = <T>(call: Promise<T>) => wait.call(harness.world, call) as Promise<T>;
  assert.is((await run(governed.status())).genesis, "");
  const first = servicePayload(1);
  assert.is(await refusalOf(harness, governed.propose(first.bytes, [])), "permission_denied");
  const genesis = await run(governed.init(firstSigners([A, B, C]), 2));
  assert.equal(await run(governed.init(firstSigners([A, B, C]), 2)), genesis, "repeated");
  assert.is(await refusalOf(harness, governed.init(firstSigners([A, B, D]), 2)), "stale_version");
  const { hash } = readGenesis(genesis);

  const proposed = await run(governed.propose(first.bytes, [signatureOf(A, first)]));
  assert.equal(proposed, { proposal: 1, version: 0, missing: 1 });
  assert.is(await refusalOf(harness, governed.apply(1)), "no_quorum");
  assert.is(await refusalOf(harness, governed.sign(1, [signatureOf(D, first)])), "bad_signature");
  assert.is(await refusalOf(harness, governed.sign(9, [signatureOf(B, first)])), "not_found");
  assert.is((await run(governed.sign(1, [signatureOf(B, first)]))).missing, 0);
  const open = await run(governed.proposal(1));
  assert.equal([open.version, open.missing, open.signatures.length], [0, 0, 2]);
  assert.equal(open.payload, first.bytes);
  assert.ok(open.remainingMs > 71 * 3_600_000);
  assert.is((await run(governed.apply(1))).version, 1);
  assert.is((await run(governed.apply(1))).version, 1, "repeated");
  assert.is((await run(governed.proposal(1))).version, 1);

  const again = await run(governed.propose(servicePayload(2).bytes, []).catch(({ code }) => code));
  assert.is(again, "stale_version", "it is not the next version");
  const status = await run(governed.status());
  assert.equal(
    [status.genesis, status.version, status.threshold, status.signers.length, status.isFrozen],
    [hash, 1, 2, 3, false],
  );
  const { records } = await run(governed.audit(0, 100));
  assert.ok(records.some(({ code }) => code === "no_quorum"), "refusals are audited");
  assert.ok(records.some(({ code }) => code === "bad_signature"), "forged signatures too");
  assert.is(await refusalOf(harness, governed.audit(0, 0)), "invalid_argument");
});

test("the governed plane: a view follows, says its age, and gives bundles that verify", async () => {
  const { harness, client: { governed } } = await placed();
  const { world } = harness;
  const early = await world.wait(governed.view());
  assert.is(early.plane, undefined);
  const hash = readGenesis(await world.wait(governed.init(firstSigners([A, B, C]), 2))).hash;
  await world.pass(100);
  assert.is(early.plane?.genesis.hash, hash, "it learns of the genesis");
  const heard: number[] = [];
  early.follow(({ entry }) => heard.push(entry.version));
  const first = servicePayload(1);
  const second = servicePayload(2, first);
  for (const read of [first, second]) {
    const signatures = [A, B].map((one) => signatureOf(one, read));
    const { proposal } = await world.wait(governed.propose(read.bytes, signatures));
    await world.wait(governed.apply(proposal));
  }
  await world.pass(50);
  assert.equal(heard, [1, 2], "entries come without being asked for");
  assert.ok(early.ageMs() <= 50, `age ${early.ageMs()}`);
  const verifier = new GovernedVerifier({ genesis: hash });
  const nowMs = world.wall.unixMs();
  const ofView = canonicalJson(await world.wait(early.bundle("svc@eu")));
  for (const text of [ofView, await world.wait(governed.bundle("svc@eu", verifier.size))]) {
    const verdict = verifier.verify(text, { id: "svc@eu", nowMs });
    assert.ok(verdict.ok, JSON.stringify(verdict));
    assert.equal(verdict.descriptor?.body, { n: 2 });
  }
  assert.ok(
    verifier.verify(await world.wait(governed.bundle("no@eu", 2)), { id: "no@eu", nowMs }).ok,
  );
  assert.is(await refusalOf(harness, governed.bundle("")), "invalid_argument");
  await world.pass(10_000);
  assert.ok(early.ageMs() <= 2_500, `an idle view stays young: ${early.ageMs()}, ${early.fault}`);

  // The log outlives the node, and the view goes on.
  await harness.restart();
  await placeGoverned(harness);
  const third = servicePayload(3, second);
  const later = await harness.client();
  const signatures = [B, C].map((one) => signatureOf(one, third));
  const { proposal } = await world.wait(later.governed.propose(third.bytes, signatures));
  assert.is((await world.wait(later.governed.apply(proposal))).version, 3);
  for (let waits = 0; heard.length < 3; waits++) {
    assert.ok(waits < 100, "The view goes on");
    await world.pass(200);
  }
  assert.equal(heard, [1, 2, 3]);
  early.close();
  await world.wait(later.governed.apply(proposal));
});

test("the governed plane: a request that waits ends with news, or with its time", async () => {
  const { harness, client: { governed } } = await placed();
  const { world } = harness;
  await world.wait(governed.init(firstSigners([A]), 1));
  const startMs = world.monotonic.nowMs();
  const idle = await world.wait(governed.log({ after: 0, waitMs: 1_000, knowsGenesis: true }));
  assert.is(idle.entries.length, 0);
  assert.ok(world.monotonic.nowMs() - startMs >= 1_000);
  const waiting = governed.log({ after: 0, waitMs: 20_000, knowsGenesis: true });
  await world.pass(10);
  const first = servicePayload(1);
  const { proposal } = await world.wait(governed.propose(first.bytes, [signatureOf(A, first)]));
  await world.wait(governed.apply(proposal));
  const beforeMs = world.monotonic.nowMs();
  const news = await world.wait(waiting);
  assert.equal([news.version, news.entries.length], [1, 1]);
  assert.ok(world.monotonic.nowMs() - beforeMs < 100);
  // It read from a replica that has more; this one gets there in a while.
  const aheadMs = world.monotonic.nowMs();
  const ahead = await world.wait(governed.log({ after: 2, waitMs: 1_000, knowsGenesis: true }));
  assert.equal([ahead.version, ahead.entries.length], [1, 0]);
  assert.ok(
    world.monotonic.nowMs() - aheadMs >= 1_000,
    "a view that is ahead does not ask at once",
  );
  const long = governed.log({ after: 0, waitMs: 30_001 });
  assert.is(await refusalOf(harness, long), "invalid_argument");
});

test("the governed plane: everybody reads, and only those with the right propose", async () => {
  const { harness, client } = await placed("proxy");
  const { governed } = client;
  assert.is((await harness.world.wait(governed.status())).version, 0);
  const first = servicePayload(1);
  const checkpoint = { size: 0, origin: "x", root: new Uint8Array(32), keys: [] };
  const calls = [
    () => governed.init(firstSigners([A]), 1),
    () => governed.propose(first.bytes, [signatureOf(A, first)]),
    () => governed.sign(1, []),
    () => governed.apply(1),
    () => governed.audit(0, 1),
    () => client.call("signCheckpoint", checkpoint),
  ];
  for (const call of calls) assert.is(await refusalOf(harness, call()), "permission_denied");
});

/** A registry with the development identity at first, and with a capability's from then on. */
async function placedForCapability(idPrefixes: CapabilityRights["idPrefixes"]) {
  const revoked = new AbortController().signal;
  const own = developmentPeer({ region: "eu", revoked });
  const scopes = ["registry:propose", "registry:apply", "registry:read"] as const;
  const capabilityId = "00000000-0000-4000-8000-000000000001";
  const capability = { capabilityId, scopes, idPrefixes, expiresAtMs: Infinity };
  const limited = { ...own, subject: `capability:${capabilityId}`, role: "capability", capability };
  let isFirst = true;
  const harness = await RegistryHarness.open({
    identity: {
      prove: () => {
        const peer = (isFirst ? own : limited) as AuthenticatedPeer;
        isFirst = false;
        return Promise.resolve({ peer, close() {} });
      },
    },
  });
  await placeGoverned(harness);
  return { harness, owner: await harness.client(), holder: await harness.client() };
}

test("the governed plane: a capability proposes and applies for the ids of its prefixes alone", async () => {
  const { harness, owner, holder } = await placedForCapability([["svc@", "svc-"], ["svc@eu"]]);
  const run = <T>(call: Promise<T>) => harness.world.wait(call) as Promise<T>;
  await run(owner.governed.init(firstSigners([A, B, C]), 2));
  const [first, other] = [servicePayload(1), servicePayload(1, undefined, "svc-other@eu")];
  const signed = (payload: ReadPayload) => [signatureOf(A, payload), signatureOf(B, payload)];
  const { governed } = holder;
  const denied = "permission_denied";
  assert.is(await refusalOf(harness, governed.propose(other.bytes, signed(other))), denied);
  const { proposal } = await run(owner.governed.propose(other.bytes, [signatureOf(A, other)]));
  assert.is(await refusalOf(harness, governed.sign(proposal, [signatureOf(B, other)])), denied);
  assert.is(await refusalOf(harness, governed.proposal(proposal)), denied);
  assert.is(await refusalOf(harness, governed.apply(proposal)), denied);
  assert.is(await refusalOf(harness, governed.apply(99)), "not_found");
  const own = await run(governed.propose(first.bytes, signed(first)));
  const { caller } = await run(owner.governed.proposal(own.proposal));
  assert.is(caller, "capability:00000000-0000-4000-8000-000000000001");
  assert.is((await run(governed.apply(own.proposal))).version, 1);
  // It reads those, whose versions are all that it is told of.
  const second = servicePayload(2, first);
  const third = servicePayload(3, second);
  for (const payload of [other, second, third]) {
    const { proposal } = await run(owner.governed.propose(payload.bytes, signed(payload)));
    await run(owner.governed.apply(proposal));
  }
  const { log, ageMs } = await run(governed.history("svc@eu"));
  assert.equal(log.versionsOf("svc@eu").map(({ entry }) => entry.version), [1, 3, 4]);
  assert.equal(log.versionsOf("svc@eu").map((one) => log.stateOf(one)), [
    "replaced",
    "replaced",
    "published",
  ]);
  assert.equal([...log.ids], ["svc@eu"]);
  assert.ok(ageMs() >= 0 && ageMs() < 1_000);
  assert.equal([...(await run(governed.history("svc@eu1"))).log.ids], []);
  for (const id of ["svc-other@eu", "svc@"]) {
    assert.is(await refusalOf(harness, governed.history(id)), denied);
  }
  const waiting = governed.history("svc@eu", { after: 4, ms: 30_000 });
  const fourth = servicePayload(4, third);
  const next = await run(owner.governed.propose(fourth.bytes, signed(fourth)));
  await run(owner.governed.apply(next.proposal));
  assert.is((await run(waiting)).log.headOf("svc@eu")?.entry.version, 5);
  // What names no id, or may concern others, is refused.
  assert.is(await refusalOf(harness, governed.log({ after: 0 })), denied);
  assert.is(await refusalOf(harness, governed.status()), denied);
  assert.is(await refusalOf(harness, governed.init(firstSigners([A, B, C]), 2)), denied);
});

test.run();
