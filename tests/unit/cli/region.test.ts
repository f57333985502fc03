/** `crs region …`: what is sent, and what is shown. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCrs } from "../../support/run_crs.ts";

const UNCHANGED = {
  servers: [],
  bundle: "",
  preference: 0,
  bytesPerSecondMax: 0,
  logPercentMax: 0,
};

const crs = (line: string, answer: unknown = {}, files: Record<string, string> = {}) =>
  runCrs(line, { answers: { call: answer }, files });

test("crs region add sends servers, bundle and limits, and zeros for the defaults", async () => {
  const plain = await crs("region add us-1 --servers 192.0.2.7:4443,[2001:db8::7]:4443");
  assert.is(plain.code, 0);
  const servers = ["192.0.2.7:4443", "[2001:db8::7]:4443"];
  assert.equal(plain.calls, [["call", "addRegion", { name: "us-1", ...UNCHANGED, servers }]]);
  const whole = await crs(
    "region add us-1 --servers a.example:1 --bundle us.json --preference 7 --bytes-per-second 1000 " +
      "--log-percent 50 --json",
    {},
    { "us.json": "{}" },
  );
  assert.equal(whole.calls[0]?.[2], {
    name: "us-1",
    servers: ["a.example:1"],
    bundle: "{}",
    preference: 7,
    bytesPerSecondMax: 1_000,
    logPercentMax: 50,
  });
  assert.equal(JSON.parse(whole.stdout), { name: "us-1", added: true });
});

test("crs region refuses servers and numbers that are none, before it connects", async () => {
  for (
    const line of [
      "region add us-1",
      "region add us-1 --servers a",
      "region add us-1 --servers a:1,",
      "region add us-1 --servers a:1 --preference 0",
      "region set us-1 --log-percent 101",
      "region set us-1 --bytes-per-second 1k",
    ]
  ) {
    const { code, calls, stderr } = await crs(line);
    assert.equal([code, calls.length], [2, 0], line);
    assert.match(stderr, /--(servers|preference|log-percent|bytes-per-second) must/, line);
  }
});

test("crs region pause, resume, set and remove name the region and what changes", async () => {
  const sent = async (line: string) => (await crs(line)).calls[0]?.slice(1);
  const named = { name: "us-1", ...UNCHANGED };
  assert.equal(await sent("region pause us-1"), ["setRegion", { ...named, pause: 1 }]);
  assert.equal(await sent("region resume us-1"), ["setRegion", { ...named, pause: 2 }]);
  const preferred = { ...named, preference: 3, pause: 0 };
  assert.equal(await sent("region set us-1 --preference 3"), ["setRegion", preferred]);
  assert.equal(await sent("region remove us-1"), ["removeRegion", { name: "us-1" }]);
});

const CONDITION = {
  ...{ replicatedAgeMs: 120, contactAgeMs: 40, lagEntries: 3, lagBytes: 2_048, resyncs: 1 },
  ...{ refused: 2, seenClusterId: new Uint8Array(16), seenGeneration: 0, pullerNode: 1 },
  ...{ state: "following", error: "" },
};
test("crs region list shows each region, and whether its cluster was met", async () => {
  const region = { name: "us-1", servers: ["192.0.2.7:4443"], preference: 100, isPaused: false };
  const rest = { hasBundle: true, bytesPerSecondMax: 1, logPercentMax: 25 };
  const met = { clusterId: new Uint8Array(16).fill(1), generation: 2, mirrors: 12 };
  const unmet = { clusterId: new Uint8Array(16), generation: 0, mirrors: 0 };
  const regions = [
    { ...region, ...rest, ...CONDITION, ...met },
    { ...region, ...rest, ...CONDITION, ...unmet, name: "ap-1", isPaused: true },
  ];
  const { stdout } = await crs("region list", { own: "eu-1", regions });
  assert.match(stdout, /us-1 +active +100 +12 +192\.0\.2\.7:4443 +01010101-/);
  assert.match(stdout, /ap-1 +paused +100 +0 +192\.0\.2\.7:4443 +not met yet/);
  const json = JSON.parse((await crs("region list --json", { own: "eu-1", regions })).stdout);
  assert.is(json.own, "eu-1");
  const accepted = { clusterId: "01010101-0101-0101-0101-010101010101", generation: 2 };
  assert.equal(json.regions.map((one: { accepted: unknown }) => one.accepted), [accepted, null]);
  assert.equal(json.regions.map((one: { seen: unknown }) => one.seen), [null, null]);
  const none = await crs("region list", { own: "eu-1", regions: [] });
  assert.is(none.stdout, "Region eu-1 has no peer regions.\n");
});

const US = {
  ...{ name: "us-1", servers: ["192.0.2.7:4443"], preference: 100, isPaused: false },
  ...{ hasBundle: true, bytesPerSecondMax: 1, logPercentMax: 25 },
  ...{ clusterId: new Uint8Array(16).fill(1), generation: 2, mirrors: 12, ...CONDITION },
};
const UNKNOWN = 0xffff_ffff;

test("crs region status shows ages, lag and refusals, and fails if mirrors are suspended", async () => {
  const lost = {
    ...US,
    ...{ name: "ap-1", replicatedAgeMs: UNKNOWN, contactAgeMs: 95_000, pullerNode: 0 },
    ...{ state: "connecting", error: "No answer", seenClusterId: new Uint8Array(16).fill(2) },
    seenGeneration: 3,
  };
  const fresh = await crs("region status", { own: "eu-1", regions: [US] });
  assert.is(fresh.code, 0);
  assert.match(
    fresh.stdout,
    /us-1 +following +120 ms ago +40 ms ago +3 \(2(\.0)? KiB\) +12 +2 +1\n/,
  );
  const both = { own: "eu-1", regions: [US, lost] };
  const all = await crs("region status", both);
  assert.is(all.code, 4);
  assert.match(all.stdout, /ap-1 +connecting, suspended +unknown +1 m 35 s ago/);
  assert.is((await crs("region status us-1", both)).code, 0);
  const one = await crs("region status ap-1", both);
  assert.is(one.code, 4);
  for (
    const text of ["no node", "No answer", "is now ", "generation 3", "accept-generation ap-1"]
  ) {
    assert.ok(one.stdout.includes(text), text);
  }
  const json = JSON.parse((await crs("region status ap-1 --json", both)).stdout).region;
  assert.equal([json.replicatedAgeMs, json.contactAgeMs, json.isSuspended, json.pullerNode], [
    ...[null, 95_000, true, null],
  ]);
  assert.is(json.seen.generation, 3);
  const paused = { ...lost, isPaused: true, state: "paused" };
  assert.is((await crs("region status", { own: "eu-1", regions: [paused] })).code, 0);
  assert.is((await crs("region status mars-1", both)).code, 3);
});

test("crs region accept-generation says what there is to accept, and accepts what is named", async () => {
  const seenClusterId = new Uint8Array(16).fill(2);
  const seen = { own: "eu-1", regions: [{ ...US, seenClusterId, seenGeneration: 3 }] };
  const asked = await crs("region accept-generation us-1", seen);
  assert.is(asked.code, 2);
  const command = /crs (region accept-generation us-1 --cluster \S+ --generation 3)/;
  const [, line] = command.exec(asked.stderr)!;
  const accepted = await crs(line!, {});
  assert.equal(accepted.calls, [
    ["call", "acceptGeneration", { name: "us-1", clusterId: seenClusterId, generation: 3 }],
  ]);
  const nothing = await crs("region accept-generation us-1", { own: "eu-1", regions: [US] });
  assert.is(nothing.code, 2);
  assert.match(nothing.stderr, /says nothing of another cluster/);
});

test.run();
