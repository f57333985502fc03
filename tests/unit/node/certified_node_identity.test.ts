/**
 * The automatic rotations of a node with real keys: its own leaf, its TLS certificates, the trust
 * bundle, intermediates and token keys. Each is known to others before it is used, and withdrawn
 * when nothing depends on it any more.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readCertificate } from "../../../identity/pki/certificate_reader.ts";
import { isRefusal } from "../../../identity/pki/certificate_refusal.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { IdentityFolder } from "../../../identity/files/identity_folder.ts";
import { renewFolder } from "../../../identity/files/kept_identity.ts";
import { bundleFromJson, type TrustBundle } from "../../../identity/trust/trust_bundle_content.ts";
import { toHex } from "../../../src/base/bytes.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { nodeId } from "../../../src/base/ids.ts";
import type { Role } from "../../../src/base/peer.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { nodeSubjectId } from "../../../src/serving/node_subject.ts";
import {
  CertifiedRegistry,
  type CertifiedRegistryOptions,
  REGION,
} from "../../support/certified_registry.ts";
import { DAY_MS, MINUTE_MS } from "../../support/test_pki.ts";

const HOUR_MS = 60 * MINUTE_MS;
const ID = "11111111-1111-4111-8111-11111111111";

async function inNode(
  run: (node: CertifiedRegistry) => Promise<void>,
  options: CertifiedRegistryOptions = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const node = await CertifiedRegistry.open(folder, REGION, options);
    await run(node);
    await node.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Skips days on which nothing happens; the node checks its clock within a minute. */
async function skip(node: CertifiedRegistry, ms: number): Promise<void> {
  node.world.wallOffsetMs += Math.ceil(ms);
  await node.world.pass(2 * MINUTE_MS);
}

function bundle(node: CertifiedRegistry): TrustBundle {
  const text = node.registry.identities.group.trustBundle;
  return bundleFromJson((JSON.parse(text) as { bundle: unknown }).bundle);
}

function tokenKeys(node: CertifiedRegistry): string[] {
  const { keys } = JSON.parse(node.registry.identities.tokens.keys()) as {
    keys: { kid: string }[];
  };
  return keys.map(({ kid }) => kid);
}

function nodeLeaf(node: CertifiedRegistry) {
  const { state } = node.registry.identities.group;
  const lineages = Array.from({ length: state.nextLineage }, (_, number) => state.lineage(number));
  const found = lineages.find((lineage) => lineage?.subject.includes("/node/"));
  assert.ok(found);
  return found!.latest;
}

/** Returns the issuer of a new member's leaf. */
async function signerOf(node: CertifiedRegistry, digit: number): Promise<string> {
  const kept = await node.world.wait(node.join("gateway", `${ID}${digit}`));
  kept.close();
  const leaf = readCertificate(kept.own.chain[0]!);
  if (isRefusal(leaf)) throw new Error(leaf.message);
  return toHex(leaf.extensions.authorityKeyId!);
}

test("the node's own leaf is renewed at half of its life, again and again", () =>
  inNode(async (node) => {
    const first = nodeLeaf(node);
    for (let minutes = 0; minutes < 150; minutes++) {
      await node.world.pass(MINUTE_MS);
      assert.ok(nodeLeaf(node).notAfterMs > node.world.unixMs() + 20 * MINUTE_MS);
    }
    const { generation } = nodeLeaf(node);
    // 65 minutes of life, 5 of which have passed: each is renewed after 27.5 to 34 minutes.
    assert.ok(generation - first.generation >= 4, String(generation));
    assert.ok(generation - first.generation <= 5, String(generation));
    assert.equal(node.troubles, []);
  }));

test("the bundle names the next TLS certificate long before it is shown", () =>
  inNode(async (node) => {
    const { certificates } = node.identity;
    const { current, next } = certificates;
    const [server] = bundle(node).servers;
    assert.equal([server!.currentPin, server!.nextPin], [current.pin, next.pin]);
    await skip(node, certificates.rotateAtMs - node.world.unixMs() - HOUR_MS);
    assert.equal(certificates.current.pin, current.pin);
    await node.world.pass(HOUR_MS);
    assert.equal(certificates.current.pin, next.pin);
    const [after] = bundle(node).servers;
    assert.equal([after!.currentPin, after!.nextPin], [next.pin, certificates.next.pin]);
    assert.equal(node.troubles, []);
  }));

test("a session by the certificate before the last rotation is renewed in place", () =>
  inNode(async (node) => {
    const { certificates } = node.identity;
    await skip(node, certificates.rotateAtMs - node.world.unixMs() - 10 * MINUTE_MS);
    const kept = await node.world.wait(node.join("gateway", `${ID}1`));
    let lost = 0;
    const client = await node.world.wait(node.connect(kept, ({ kind }) => {
      if (kind === "lost") lost++;
    }));
    await node.world.pass(80 * MINUTE_MS);
    const found = await node.world.wait(client.getGateway(`${ID}1`).catch((error) => error.code));
    assert.equal([found, lost], ["not_found", 0]);
    await node.world.wait(client.close());
    assert.equal(node.troubles, []);
  }));

test("a new intermediate is published at once, signs after an hour, and relieves the old one", () =>
  inNode(async (node) => {
    const before = await signerOf(node, 1);
    assert.is(bundle(node).intermediates.length, 2);
    await node.rotate("intermediate");
    await node.world.pass(2 * MINUTE_MS);
    assert.is(bundle(node).intermediates.length, 3);
    await node.world.pass(50 * MINUTE_MS);
    assert.is(await signerOf(node, 2), before);
    await node.world.pass(15 * MINUTE_MS);
    const after = await signerOf(node, 3);
    assert.is.not(after, before);
    // Leaves signed by the old one may be renewed for 30 days, so it is published for as long.
    await skip(node, 29 * DAY_MS);
    assert.is(bundle(node).intermediates.length, 3);
    await skip(node, 2 * DAY_MS);
    assert.is(bundle(node).intermediates.length, 2);
    assert.is(await signerOf(node, 4), after);
    assert.equal(node.troubles, []);
  }));

test("a new token key is published at once, signs after five minutes, and ends the old one's time", () =>
  inNode(async (node) => {
    const [first] = tokenKeys(node);
    const kept = await node.world.wait(node.join("gateway", `${ID}1`));
    const client = await node.world.wait(node.connect(kept));
    const signer = async () => {
      const token = await node.world.wait(client.identities.mintToken("api.example", 900_000));
      return (JSON.parse(atob(token.split(".")[0]!)) as { kid: string }).kid;
    };
    await node.rotate("token-key");
    await node.world.pass(MINUTE_MS);
    const [, second] = tokenKeys(node);
    assert.ok(second);
    assert.is(await signer(), first);
    await node.world.pass(5 * MINUTE_MS);
    assert.is(await signer(), second);
    // The last token of the first key is valid for 15 minutes, including a minute of skew.
    await node.world.pass(14 * MINUTE_MS);
    assert.equal(tokenKeys(node), [first, second]);
    await node.world.pass(3 * MINUTE_MS);
    assert.equal(tokenKeys(node), [second]);
    await node.world.wait(client.close());
    assert.equal(node.troubles, []);
  }));

test("the bundle is made anew at half of its life, by a signer that was replaced meanwhile", () =>
  inNode(async (node) => {
    const { sequence } = bundle(node);
    await node.world.pass(HOUR_MS);
    assert.is(bundle(node).sequence, sequence);
    await node.rotate("bundle-signer");
    await skip(node, 16 * DAY_MS);
    assert.ok(bundle(node).sequence > sequence);
    assert.ok(bundle(node).expiresAtMs > node.world.unixMs() + 29 * DAY_MS);
    assert.equal(node.troubles, []);
  }));

test("a certificate that only the root can issue is requested once a day, from half of its life on", () =>
  inNode(async (node) => {
    const asked = () => node.troubles.splice(0).filter((text) => text.startsWith("The root must"));
    await skip(node, 44 * DAY_MS);
    assert.equal(asked(), []);
    await skip(node, 2 * DAY_MS);
    await node.world.pass(10 * MINUTE_MS);
    assert.equal(asked(), ["The root must sign a renewal: bundle-signer"]);
    await skip(node, DAY_MS);
    assert.is(asked().length, 1);
    await node.rotate("bundle-signer");
    await skip(node, DAY_MS);
    assert.equal(asked(), []);
  }));

test("a folder that became unusable is told, and the node's leaf is renewed all the same", () =>
  inNode(async (node) => {
    const { generation } = nodeLeaf(node);
    Deno.chmodSync(`${node.authority}/token-key-1.pem`, 0o644);
    await node.world.pass(40 * MINUTE_MS);
    assert.ok(nodeLeaf(node).generation > generation);
    assert.ok(node.troubles.length > 0);
    assert.ok(
      node.troubles.every((text) => text.startsWith("The authority folder cannot be used")),
    );
  }));

for (const recordMs of [DAY_MS, HOUR_MS]) {
  test(`an ended certificate is renewed within ${recordMs / HOUR_MS} h, a member's within 30 days`, () =>
    inNode(async (node) => {
      const { registry, world } = node;
      const { clusterId } = registry.cluster;
      const member = { addresses: [], pin: new Uint8Array(32), nextPin: new Uint8Array(32) };
      for (const number of [2, 4]) {
        await world.wait(registry.putMember({ ...member, nodeId: nodeId(number) }));
      }
      const idOf = (number: number) => formatUuid(nodeSubjectId(clusterId, number));
      const [gateway, proxy] = [`${ID}1`, `${ID}2`];
      const [listed, unknown, removed] = [idOf(2), idOf(3), idOf(4)];
      const join = async (role: Role, id: string) =>
        (await world.wait(node.join(role, id))).close();
      await join("gateway", gateway);
      await join("proxy", proxy);
      for (const id of [listed, unknown, removed]) await join("node", id);
      const by = developmentPeer({ region: REGION, revoked: new AbortController().signal });
      const deadlineMs = () => world.nowMs() + MINUTE_MS;
      await world.wait(registry.identities.administration.removeMember(4, by, deadlineMs()));
      const comeBack = (id: string) => {
        const renewed = renewFolder(new IdentityFolder(`${node.folder}/${id}`), {
          wall: world,
          entropy: world.entropy,
          ask: (order) => registry.identities.enrolment.renew(order, deadlineMs()),
        });
        return world.wait(renewed.then(() => "renewed", (error: RegistryError) => error.code));
      };
      await skip(node, HOUR_MS + recordMs - 10 * MINUTE_MS);
      assert.is(await comeBack(gateway), "renewed");
      assert.is(await comeBack(proxy), "unauthenticated");
      await skip(node, HOUR_MS + recordMs + 10 * MINUTE_MS);
      assert.is(await comeBack(gateway), "unauthenticated");
      await skip(node, 20 * DAY_MS);
      assert.is(await comeBack(unknown), "unauthenticated");
      assert.is(await comeBack(removed), "unauthenticated");
      assert.is(await comeBack(listed), "renewed");
      await skip(node, 30 * DAY_MS + 2 * HOUR_MS);
      assert.is(await comeBack(listed), "unauthenticated");
    }, { renewalGrace: { recordMs, memberMs: 30 * DAY_MS } }));
}

test("openCertifiedIdentity refuses the authority of another region", async () => {
  const folder = await Deno.makeTempDir();
  let refused: unknown;
  await CertifiedRegistry.open(folder, "us-1").catch((error) => refused = error);
  await Deno.remove(folder, { recursive: true });
  assert.instance(refused, RegistryError);
  assert.is((refused as RegistryError).code, "invalid_configuration");
});

test.run();
