/**
 * What a node with real keys does by itself as time goes on: its own leaf, its TLS certificates, the
 * trust bundle, intermediates and token keys, each renewed before it ends and withdrawn after.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CertifiedRegistry } from "../../support/certified_registry.ts";

const folder = await Deno.makeTempDir();
const node = await CertifiedRegistry.open(folder);

test("a gateway works", async () => {
  const kept = await node.world.wait(node.join("gateway", "11111111-1111-4111-8111-111111111111"));
  const client = await node.world.wait(node.connect(kept));
  await node.world.wait(client.registerGateway({
    id: "11111111-1111-4111-8111-111111111111",
    region: "eu-1",
    domain: "g.example",
    address: "192.0.2.1",
    port: 4_000,
  }));
  await node.world.pass(3_600_000);
  assert.equal(node.troubles, []);
  await node.close();
});

test.run();
