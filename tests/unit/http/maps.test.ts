/** The route of seeders, over a real registry in the same process. */
import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { HTTP_SEEDER_REGIONS_BURST } from "../../../src/base/limits.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { HttpFace, openRegistryFace } from "../../support/http_face.ts";

const PIN = "ab".repeat(32);

test("GET /seeder lists up to five fronts of a region under the names of that protocol", async () => {
  const { harness, face } = await openRegistryFace();
  await harness.raiseVersion();
  const client = await harness.client();
  assert.equal((await face.ask("GET", "/seeder")).json, []);
  for (let number = 1; number <= 6; number++) {
    await harness.world.wait(client.maps.registerSeeder({
      ...{ region: "global", address: `192.0.2.${number}`, port: 50_051 },
      ...{ domain: "seed.example", name: "seed", pin: PIN, scope: "region" },
    }));
  }
  // What was answered counts for a second.
  assert.equal((await face.ask("GET", "/seeder")).json, []);
  await harness.world.pass(1_100);
  const all = await face.ask("GET", "/seeder?region=");
  assert.equal([all.status, all.json.length], [200, 5]);
  const [first] = all.json;
  assert.equal(first, {
    SeederID: createHash("sha256").update(`${PIN}|${first.SeedIP}`).digest("hex"),
    Name: "seed",
    Dns: "seed.example",
    SeedIP: first.SeedIP,
    SeedPort: "50051",
    Region: "global",
    VerifiableHash: PIN,
  });
  assert.equal((await face.ask("GET", "/seeder?region=eu")).json, []);
  // A front that stopped is gone after its lease.
  await harness.world.pass(61_000);
  assert.equal((await face.ask("GET", "/seeder?region=global")).json, []);
});

test("GET /seeder asks once a second for each region, whoever asks, and keeps no failure", async () => {
  let fails = true;
  const fake = new FakeClient({
    nodeStatus: { region: "eu" },
    "maps.listSeeders": () =>
      fails ? Promise.reject(new RegistryError("overloaded", "Later")) : Promise.resolve([]),
  });
  const face = new HttpFace({ client: fake.client });
  assert.is((await face.ask("GET", "/seeder")).status, 429);
  fails = false;
  for (let turn = 0; turn < 3; turn++) {
    for (const query of ["", "?region=eu", "?region=us"]) {
      assert.is((await face.ask("GET", `/seeder${query}`)).status, 200);
    }
  }
  const asked = fake.calls.filter(([name]) => name === "maps.listSeeders");
  assert.equal(asked.map(([, region]) => region), ["eu", "eu", "us"]);
});

test("GET /seeder asks for few other regions at once, and on for those that it knows", async () => {
  const fake = new FakeClient({ nodeStatus: { region: "eu" }, "maps.listSeeders": [] });
  const face = new HttpFace({ client: fake.client });
  for (let region = 1; region <= HTTP_SEEDER_REGIONS_BURST; region++) {
    assert.is((await face.ask("GET", `/seeder?region=r${region}`)).status, 200);
  }
  const refused = await face.ask("GET", "/seeder?region=r0");
  assert.equal([refused.status, refused.headers.get("retry-after")], [429, "1"]);
  assert.is((await face.ask("GET", "/seeder?region=r1")).status, 200);
  assert.is(fake.calls.length, HTTP_SEEDER_REGIONS_BURST);
});

test.run();
