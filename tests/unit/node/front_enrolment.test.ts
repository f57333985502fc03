/** The identity that a node gives to the front beside it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { IdentityFolder } from "../../../identity/files/identity_folder.ts";
import { enrolFront } from "../../../src/node/front_enrolment.ts";
import { CertifiedRegistry, REGION, TRUST_DOMAIN } from "../../support/certified_registry.ts";
import { codeOf, rejectionOf } from "../../support/refusal.ts";

const folder = await Deno.makeTempDir();
const node = await CertifiedRegistry.open(folder);
const { world } = node;
const path = `${folder}/front`;
const opened = () => world.wait(new IdentityFolder(path).open(world.unixMs()));

test("enrolFront issues a certificate of the role front, and none while that is valid", async () => {
  await world.wait(node.identity.enrolFront!(path));
  const { subject, leafHash, role } = (await opened()).identity;
  assert.is(role, "front");
  assert.ok(subject.startsWith(`spiffe://${TRUST_DOMAIN}/region/${REGION}/front/`));
  await world.wait(node.identity.enrolFront!(path));
  assert.equal((await opened()).identity.leafHash, leafHash);
});

test("a front that the node enrolled renews its certificate, and acts for anonymous callers", async () => {
  const kept = await world.wait(node.keep(path));
  const client = await world.wait(node.connect(kept));
  const anonymous = client.delegate({ kind: "none" });
  const refused = codeOf(anonymous.getAgent(crypto.randomUUID()));
  assert.is(await world.wait(refused), "permission_denied");
  assert.is(node.delegations.open, 1);
  const before = kept.own.identity.leafHash;
  await world.pass(40 * 60_000);
  assert.not.equal(kept.own.identity.leafHash, before);
  await world.wait(client.close());
  kept.close();
});

test("enrolFront issues another certificate once the last one has ended", async () => {
  const before = (await opened()).identity;
  await world.pass(3 * 3_600_000);
  await world.wait(node.identity.enrolFront!(path));
  const { subject, leafHash } = (await opened()).identity;
  assert.is(subject, before.subject);
  assert.not.equal(leafHash, before.leafHash);
});

test("a node without the authority's keys takes the front's certificate as it is, or says what is missing", async () => {
  const parts = {
    enrolment: node.registry.identities.enrolment,
    nodeSubject: "spiffe://registry.example/region/eu-1/node/00000000-0000-4000-8000-000000000001",
    rootsPem: "",
    world,
    hasKeys: false,
  };
  await world.wait(enrolFront(path, parts));
  const refused = await world.wait(rejectionOf(enrolFront(`${folder}/none`, parts)));
  assert.is(refused.code, "invalid_configuration");
  assert.match(refused.message, "join-token front");
});

test("teardown: nothing went wrong", async () => {
  assert.equal(node.troubles, []);
  await node.close();
  await Deno.remove(folder, { recursive: true });
});

test.run();
