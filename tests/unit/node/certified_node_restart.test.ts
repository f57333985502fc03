/**
 * A node with real keys starts again after a long downtime: it signs expired certificates anew with
 * the keys that it holds, and reports it if only the root or the clock can help.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { initAuthority } from "../../../identity/enrolment/authority_init.ts";
import { IdentityFolder } from "../../../identity/files/identity_folder.ts";
import { bundleFromJson, type TrustBundle } from "../../../identity/trust/trust_bundle_content.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { CertifiedRegistry, REGION, TRUST_DOMAIN } from "../../support/certified_registry.ts";
import { DAY_MS, MINUTE_MS } from "../../support/test_pki.ts";

const HOUR_MS = 60 * MINUTE_MS;
const ID = "11111111-1111-4111-8111-11111111111";

async function inNode(run: (node: CertifiedRegistry) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const node = await CertifiedRegistry.open(folder);
    await run(node);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Stops the node, advances the wall clock, and starts it again. */
async function downFor(node: CertifiedRegistry, ms: number): Promise<RegistryError | undefined> {
  await node.stop();
  node.world.wallOffsetMs += ms;
  return await startAgain(node);
}

async function startAgain(node: CertifiedRegistry): Promise<RegistryError | undefined> {
  try {
    await node.start();
    return undefined;
  } catch (error) {
    assert.instance(error, RegistryError);
    return error as RegistryError;
  }
}

function bundle(node: CertifiedRegistry): TrustBundle {
  const text = node.registry.identities.group.trustBundle;
  return bundleFromJson((JSON.parse(text) as { bundle: unknown }).bundle);
}

/** Checks that a new member can join, prove itself in a handshake, and get an answer. */
async function serves(node: CertifiedRegistry, digit: number): Promise<void> {
  const kept = await node.world.wait(node.join("gateway", `${ID}${digit}`));
  const client = await node.world.wait(node.connect(kept));
  const found = await node.world.wait(
    client.getGateway(`${ID}${digit}`).catch((error) => error.code),
  );
  assert.is(found, "not_found");
  await node.world.wait(client.close());
}

for (const days of [29, 31, 80]) {
  test(`a node starts again after ${days} days, and signs the next bundle itself`, () =>
    inNode(async (node) => {
      const { sequence } = bundle(node);
      assert.is(await downFor(node, days * DAY_MS), undefined);
      const after = bundle(node);
      assert.ok(after.sequence > sequence);
      assert.ok(after.expiresAtMs > node.world.unixMs() + 9 * DAY_MS);
      const { current } = node.identity.certificates;
      assert.ok(current.notBeforeMs <= node.world.unixMs());
      assert.ok(node.world.unixMs() < current.notAfterMs);
      await serves(node, 1);
      await node.world.pass(2 * MINUTE_MS);
      assert.equal(node.troubles.filter((text) => !text.startsWith("The root must")), []);
      await node.close();
    }));
}

test("restart after a year: the node names all that only the root can issue, and starts once it is there", () =>
  inNode(async (node) => {
    const { sequence } = bundle(node);
    const refused = await downFor(node, 365 * DAY_MS);
    assert.is(refused?.code, "invalid_configuration");
    assert.match(refused!.message, "crs identity rotate intermediate");
    assert.match(refused!.message, "crs identity rotate bundle-signer");
    await node.rotate("bundle-signer");
    const still = await startAgain(node);
    assert.match(still!.message, "crs identity rotate intermediate");
    assert.not.match(still!.message, "rotate bundle-signer");
    // No other node knows the new key, but none could serve either: it signs at once.
    await node.rotate("intermediate");
    assert.is(await startAgain(node), undefined);
    assert.ok(bundle(node).sequence > sequence);
    await serves(node, 1);
    await node.world.pass(2 * MINUTE_MS);
    assert.equal(node.troubles.filter((text) => !text.startsWith("The root must")), []);
    await node.close();
  }));

test("a node whose bundle signer alone has ended asks for that alone", () =>
  inNode(async (node) => {
    const refused = await downFor(node, 100 * DAY_MS);
    assert.is(refused?.code, "invalid_configuration");
    assert.match(refused!.message, "crs identity rotate bundle-signer");
    assert.not.match(refused!.message, "rotate intermediate");
    await node.rotate("bundle-signer");
    assert.is(await startAgain(node), undefined);
    await serves(node, 1);
    await node.close();
  }));

test("a clock that is behind has a message of its own, and a start once it is set", () =>
  inNode(async (node) => {
    const issued = new Date(bundle(node).issuedAtMs).toISOString();
    for (const ms of [-30 * MINUTE_MS, -DAY_MS, -365 * DAY_MS]) {
      const refused = await downFor(node, ms);
      assert.is(refused?.code, "invalid_configuration");
      assert.match(refused!.message, "clock of this machine");
      assert.match(refused!.message, new Date(node.world.unixMs()).toISOString());
      assert.match(refused!.message, issued);
      node.world.wallOffsetMs -= ms;
      assert.is(await startAgain(node), undefined);
    }
    // Clocks are regularly corrected by some seconds.
    assert.is(await downFor(node, -10_000), undefined);
    await serves(node, 1);
    await node.close();
  }));

test("a first start with a clock behind says that, and not that certificates ended", () =>
  inNode(async (node) => {
    await node.stop();
    const folder = await Deno.makeTempDir();
    node.world.wallOffsetMs += DAY_MS;
    await CertifiedRegistry.open(folder, "eu-1", { clockStepMs: -DAY_MS }).then(
      () => assert.unreachable("It must not start"),
      (error: RegistryError) => {
        assert.is(error.code, "invalid_configuration");
        assert.match(error.message, "clock of this machine");
      },
    );
    await Deno.remove(folder, { recursive: true });
  }));

test("a bundle that others signed is refused also where it has ended", () =>
  inNode(async (node) => {
    await node.stop();
    Deno.renameSync(`${node.folder}/pki`, `${node.folder}/pki-before`);
    // Another trust domain of the same name, with another root.
    await initAuthority({
      folder: `${node.folder}/pki`,
      trustDomain: TRUST_DOMAIN,
      region: REGION,
      nowMs: node.world.unixMs(),
      entropy: node.world.entropy,
    });
    node.world.wallOffsetMs += 31 * DAY_MS;
    const refused = await startAgain(node);
    assert.is(refused?.code, "corrupt");
    assert.match(refused!.message, "trust bundle is refused");
  }));

test("an administrator comes in by its key after a year", () =>
  inNode(async (node) => {
    await downFor(node, 365 * DAY_MS);
    await node.rotate("bundle-signer");
    await node.rotate("intermediate");
    assert.is(await startAgain(node), undefined);
    const folder = new IdentityFolder(`${node.folder}/pki/administrator`);
    const key = await folder.key();
    const issued = await node.world.wait(node.registry.identities.enrolment.enrolStanding(
      { subject: folder.subject, publicKey: key.verifying.bytes, detail: "administrator" },
      node.world.nowMs() + MINUTE_MS,
    ));
    const own = await folder.keep(issued.chain, issued.bundle, node.world.unixMs());
    assert.match(own.identity.subject, TRUST_DOMAIN);
    assert.ok(own.identity.notAfterMs > node.world.unixMs() + HOUR_MS / 2);
    await node.close();
  }));

test.run();
