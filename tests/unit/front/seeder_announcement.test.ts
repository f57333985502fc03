/** The announcement of a front as a place where the Maps protocol is served. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { MAPS_SEEDER_BEAT_MS, MAPS_SEEDER_RETRY_MS } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { SeederAnnouncement } from "../../../src/front/seeder_announcement.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

const FRONT = { endpoint: { host: "192.0.2.1", port: 50_051 }, domain: "", pin: "ab".repeat(32) };

/** An announcement by a client whose registrations fail while `fails` is set. */
function announced() {
  const world = new SteppedWorld();
  const state = { fails: false };
  const refusal = () => Promise.reject(new RegistryError("overloaded", "Later"));
  const { client, calls } = new FakeClient({
    nodeStatus: { region: "eu" },
    "maps.registerSeeder": () => state.fails ? refusal() : Promise.resolve(),
  });
  const warnings: string[] = [];
  const logger = { ...SILENT_LOGGER, warn: (message: string) => void warnings.push(message) };
  const registrations = () => calls.filter(([name]) => name === "maps.registerSeeder");
  const start = () => new SeederAnnouncement({ front: FRONT, client, world, logger });
  return { world, state, warnings, registrations, start };
}

test("SeederAnnouncement: a front is announced again and again, until it closes", async () => {
  const { world, registrations, start, warnings } = announced();
  const announcement = start();
  await world.settle();
  const [[, record]] = registrations() as [[string, Record<string, unknown>]];
  assert.equal([record.region, record.address, record.port, record.name, record.pin], [
    ...["eu", "192.0.2.1", 50_051, "192.0.2.1"],
    FRONT.pin,
  ]);
  await world.pass(3 * MAPS_SEEDER_BEAT_MS);
  assert.is(registrations().length, 4);
  announcement.close();
  await world.pass(3 * MAPS_SEEDER_BEAT_MS);
  assert.is(registrations().length, 4);
  assert.equal(warnings, []);
});

test("SeederAnnouncement: after a failure it tries again soon, and warns once for a row of them", async () => {
  const { world, state, registrations, start, warnings } = announced();
  state.fails = true;
  const announcement = start();
  await world.pass(3 * MAPS_SEEDER_RETRY_MS);
  assert.is(registrations().length, 4);
  assert.is(warnings.length, 1);
  state.fails = false;
  await world.pass(MAPS_SEEDER_RETRY_MS);
  state.fails = true;
  await world.pass(MAPS_SEEDER_BEAT_MS + MAPS_SEEDER_RETRY_MS);
  assert.is(warnings.length, 2);
  announcement.close();
});

test.run();
