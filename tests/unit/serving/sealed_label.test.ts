/** A sealed label end to end: registered, served unchanged, opened only by a recipient. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openLabel, sealLabel } from "../../../identity/tokens/sealed_label.ts";
import { openingKeyOf } from "../../../identity/tokens/x25519.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";

test("a recipient opens what an agent sealed, and the stored record does not hold it", async () => {
  const harness = await RegistryHarness.open();
  const client = await harness.client();
  const wait = <T>(promise: Promise<T>) => harness.world.wait(promise);
  const key = await openingKeyOf(new Uint8Array(32).fill(1));
  const id = "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";
  const place = { recordId: parseUuid(id), label: "password" };
  const sealed = await sealLabel("correct horse", place, [key.sealing]);
  const agent = { id, region: "global", address: "192.0.2.1", port: 1, domain: "a.example" };
  await wait(client.registerAgent({ ...agent, labels: { password: sealed, plain: "x" } }));
  const found = await wait(client.resolveAgent("a.example"));
  assert.equal(found.agent.labels, { password: sealed, plain: "x" });
  const served = found.agent.labels["password"] ?? "";
  assert.equal(await openLabel(served, place, key), { value: "correct horse" });
  const other = await openingKeyOf(new Uint8Array(32).fill(2));
  assert.equal(await openLabel(served, place, other), { fault: "not_a_recipient" });
  assert.not(JSON.stringify(harness.agent(place.recordId)).includes("horse"));
  await wait(client.close());
  await harness.stop();
});

test.run();
