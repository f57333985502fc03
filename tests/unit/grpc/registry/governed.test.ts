/** The governed plane by `crs.v1.Registry`, over a real registry in the same process. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  DescriptorState,
  ListDescriptorsResponseSchema,
  LogAction,
  ReadLogResponseSchema,
} from "../../../../schemas/proto/gen/crs/v1/governed_pb.ts";
import { Registry } from "../../../../schemas/proto/gen/crs/v1/registry_pb.ts";
import type { ReadPayload } from "../../../../src/governance/documents/payload.ts";
import { concatBytes } from "../../../../src/base/bytes.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { GRPC_REPLY_BYTES_MAX } from "../../../../src/base/limits.ts";
import { readGenesis } from "../../../../src/governance/documents/genesis.ts";
import { extendsTree, includes } from "../../../../src/governance/tree/merkle_proof.ts";
import { leafHash } from "../../../../src/governance/tree/merkle_tree.ts";
import { A, B, C, D, signatureOf, type TestSigner } from "../../../support/governance.ts";
import { firstSigners, placeGoverned, servicePayload } from "../../../support/governed_registry.ts";
import { FakeClient } from "../../../support/fake_client.ts";
import {
  type OpenRegistryGrpc,
  openRegistryGrpc,
  RegistryGrpc,
} from "../../../support/registry_grpc.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";

const M = Registry.method;

async function openGoverned(): Promise<OpenRegistryGrpc> {
  const open = await openRegistryGrpc();
  await placeGoverned(open.harness);
  const { genesis } = await open.face.ask(M.initGovernance, {
    signers: firstSigners([A, B, C]),
    threshold: 2,
  });
  const { hash } = readGenesis(new TextEncoder().encode(genesis));
  assert.is((await open.face.ask(M.getGovernanceStatus, {})).genesis, hash);
  return open;
}

/** Returns the request that proposes a payload with signatures. */
function proposalOf(read: ReadPayload, signers: readonly TestSigner[] = [A, B]) {
  return {
    payload: new TextDecoder().decode(read.bytes),
    signatures: signers.map((signer) => signatureOf(signer, read)),
  };
}

/** Returns a bundle, whose parts are put together. */
async function bundleOf(
  face: RegistryGrpc,
  request: { readonly id: string; readonly since?: bigint },
): Promise<string> {
  const parts = await face.all(M.getBundle, request);
  return new TextDecoder().decode(concatBytes(parts.map(({ part }) => part)));
}

/** Proposes and applies a payload; returns the global version. */
async function publish({ face }: OpenRegistryGrpc, read: ReadPayload): Promise<bigint> {
  const { state } = await face.ask(M.propose, proposalOf(read));
  const applied = await face.ask(M.applyProposal, { proposal: state!.proposal });
  return applied.state!.version;
}

test("a proposal gathers signatures, is applied by request, and is read at once", async () => {
  const { face } = await openGoverned();
  const first = servicePayload(1);
  const proposed = await face.ask(M.propose, proposalOf(first, [A]));
  assert.equal([proposed.state?.missing, proposed.contentId], [1, first.contentId]);
  const { proposal } = proposed.state!;
  assert.match(await face.refused(M.applyProposal, { proposal }), /^9 /);
  const wrong = [signatureOf(D, first)];
  assert.match(await face.refused(M.addSignatures, { proposal, signatures: wrong }), /^3 /);
  const short = [{ signerId: "a", signature: Uint8Array.of(1), signedAt: "now" }];
  assert.match(
    await face.refused(M.addSignatures, { proposal, signatures: short }),
    /^3 signature must have 64 bytes: found 1/,
  );
  const signatures = [signatureOf(B, first)];
  assert.is((await face.ask(M.addSignatures, { proposal, signatures })).state?.missing, 0);
  const shown = await face.ask(M.getProposal, { proposal });
  assert.equal([shown.payload, shown.signatures.length], [proposalOf(first).payload, 2]);
  for (let times = 0; times < 2; times++) {
    assert.is((await face.ask(M.applyProposal, { proposal })).state?.version, 1n);
  }
  const { descriptor, ageMs } = await face.ask(M.getDescriptor, { id: "svc@eu" });
  assert.equal(
    [descriptor?.payload, descriptor?.version, descriptor?.globalVersion, descriptor?.state],
    [proposalOf(first).payload, 1n, 1n, DescriptorState.PUBLISHED],
  );
  assert.equal(descriptor?.signatures[0]?.signature, signatureOf(A, first).signature);
  assert.ok(ageMs >= 0n);
  assert.match(await face.refused(M.propose, proposalOf(servicePayload(2))), /^10 /);
  assert.match(await face.refused(M.propose, { payload: "{" }), /^3 payload must be strict JSON/);
  assert.match(await face.refused(M.getDescriptor, { id: "none" }), /^5 /);
  const audit = await face.ask(M.readGovernanceAudit, {});
  assert.ok(audit.records.some(({ action, code }) => action === "apply" && code === "ok"));
});

test("descriptors are listed in the order of their changes, and continued", async () => {
  const open = await openGoverned();
  const { face } = open;
  const one = servicePayload(1);
  const other = servicePayload(1, undefined, "other@eu");
  for (const read of [one, other, servicePayload(2, one)]) await publish(open, read);
  const ids = async (after: bigint, limit = 0) =>
    (await face.all(M.listDescriptors, { after, limit })).map(({ descriptor }) =>
      `${descriptor?.id} ${descriptor?.version}`
    );
  assert.equal(await ids(0n), ["other@eu 1", "svc@eu 2"]);
  assert.equal(await ids(2n), ["svc@eu 2"]);
  assert.equal(await ids(0n, 1), ["other@eu 1"]);
  assert.equal(await face.all(M.listDescriptors, { kind: "policy" }), []);
  const versions = await face.all(M.listDescriptorVersions, { id: "svc@eu" });
  assert.equal(versions.map(({ descriptor }) => descriptor?.state), [
    DescriptorState.REPLACED,
    DescriptorState.PUBLISHED,
  ]);
  const old = await face.ask(M.getDescriptor, { id: "svc@eu", version: 1n });
  assert.is(old.descriptor?.globalVersion, 1n);
  assert.match(await face.refused(M.getDescriptor, { id: "svc@eu", version: 3n }), /^5 /);
  assert.match(await face.refused(M.listDescriptorVersions, { id: "none" }), /^5 /);
  assert.is((await face.ask(M.getRegistryVersion, { maxStalenessMs: 0 })).version, 3n);
  assert.equal((await face.ask(M.getRegionMap, {})).regions, {});
});

test("a descriptor that changes while a list waits for its reader is in the list still", async () => {
  const open = await openGoverned();
  const { face, harness: { world } } = open;
  const second = servicePayload(1, undefined, "b@eu");
  for (const read of [servicePayload(1, undefined, "a@eu"), second]) await publish(open, read);
  const list = face.begin(M.listDescriptors, {});
  list.hasRoom = false;
  await world.wait(list.answered(1));
  await publish(open, servicePayload(2, second, "b@eu"));
  list.hasRoom = true;
  list.takeAll();
  await world.wait(list.ended);
  const found = list.answers(ListDescriptorsResponseSchema).map(({ descriptor }) =>
    `${descriptor?.id} ${descriptor?.version}`
  );
  assert.equal(found, ["a@eu 1", "b@eu 2"]);
});

test("the log is read to its end, or followed until the caller leaves", async () => {
  const open = await openGoverned();
  const { face, harness: { world } } = open;
  const first = servicePayload(1);
  await publish(open, first);
  const [entry] = await face.all(M.readLog, {});
  assert.equal([entry?.action, entry?.descriptor?.id], [LogAction.PUBLISH, "svc@eu"]);
  assert.match(await face.refused(M.readLog, { after: 2n }), /^11 The log has 1 entries/);
  const following = face.begin(M.readLog, { after: 1n, follow: true });
  await world.settle();
  assert.is(following.sent.length, 0);
  await publish(open, servicePayload(2, first));
  const [second] = await face.answers(following, ReadLogResponseSchema, 1);
  assert.is(second?.descriptor?.globalVersion, 2n);
  following.leave();
  await world.settle();
  assert.match(await face.app.metrics.render(), /grpc_method="ReadLog",grpc_code="CANCELLED"\} 1/);
  assert.match(await face.app.metrics.render(), /grpc_calls_in_flight 0/);
});

test("proofs hold, and refuse sizes that the log does not have", async () => {
  const open = await openGoverned();
  const { face } = open;
  let read: ReadPayload | undefined;
  for (let n = 1; n <= 5; n++) {
    read = servicePayload(n, read);
    await publish(open, read);
  }
  const proven = await face.ask(M.proveInclusion, { version: 3n });
  const { leafIndex, treeSize, root, leaf, proof } = proven;
  assert.equal([leafIndex, treeSize], [2n, 5n]);
  assert.ok(includes({ root, size: 5 }, { index: 2, hash: leafHash(leaf), proof }));
  const { fromRoot, toRoot, ...more } = await face.ask(M.proveConsistency, { from: 2n });
  assert.ok(extendsTree({ root: toRoot, size: 5 }, { root: fromRoot, size: 2 }, more.proof));
  assert.match((await face.ask(M.getCheckpoint, {})).checkpoint, /\n5\n/);
  const bundle = JSON.parse(await bundleOf(face, { id: "svc@eu" }));
  assert.type(bundle, "object");
  assert.is((await face.ask(M.getTile, { path: "0/000.p/5" })).tile.length, 5 * 32);
  const refusals = [
    [await face.refused(M.proveInclusion, { version: 6n }), /^5 The log has 5 entries/],
    [await face.refused(M.proveInclusion, {}), /^3 version must be at least 1/],
    [await face.refused(M.proveInclusion, { version: 3n, size: 2n }), /^3 3 must not be above 2/],
    [await face.refused(M.proveConsistency, { from: 9n }), /^5 /],
    [await face.refused(M.getTile, { path: "no" }), /^3 There is no tile/],
    [await face.refused(M.getTile, { path: "0/001" }), /^5 The log must reach/],
    [await face.refused(M.getBundle, { id: "svc@eu", since: 6n }), /^5 /],
  ] as const;
  for (const [found, wanted] of refusals) assert.match(found, wanted);
});

test("a bundle is sent in parts, whatever its length", async () => {
  const denied = () => Promise.reject(new RegistryError("permission_denied", "not all ids"));
  // Characters of two bytes, which parts may divide.
  const long = "é".repeat(GRPC_REPLY_BYTES_MAX);
  const { client } = new FakeClient({
    "governed.follow": denied,
    "governed.view": denied,
    "governed.status": denied,
    "governed.bundle": long,
  });
  const face = new RegistryGrpc(client, new SteppedWorld());
  assert.ok(await bundleOf(face, { id: "svc@eu" }) === long);
});

test("a registry that is not governed says so", async () => {
  const { face, harness } = await openRegistryGrpc();
  await placeGoverned(harness);
  assert.is((await face.ask(M.getRegistryVersion, {})).version, 0n);
  assert.equal(await face.all(M.listDescriptors, {}), []);
  assert.equal(await face.all(M.readLog, {}), []);
  assert.match(await face.refused(M.getDescriptor, { id: "x" }), /^5 The registry is not governed/);
  assert.match(await face.refused(M.getCheckpoint, {}), /^5 The registry is not governed/);
});

test.run();
