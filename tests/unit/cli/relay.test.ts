/** `crs relay …`: what is asked, and what is shown. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { runCrs } from "../../support/run_crs.ts";

const RECEIPT = { node: 1, partition: 3, term: 2, appliedIndex: 9, ageBoundMs: 0 };
const LEASE = {
  ttlMs: 30_000,
  remainingMs: 20_000,
  incarnation: { generation: 1, index: 7 },
  lastHeartbeatUnixMs: 1_735_689_600_000,
};
const RELAY = { relayId: "r1", address: "10.0.0.5", grpcPort: 50_052, ...LEASE };
const PLACED = {
  agentId: "a1",
  relayId: "r1",
  relayIncarnation: { generation: 1, index: 5 },
  ...LEASE,
};

const crs = (line: string, answers: Readonly<Record<string, unknown>>) => runCrs(line, { answers });

test("crs relay list shows relays as a table, and as one document", async () => {
  const relays = { "relays.list": { items: [RELAY], receipts: [RECEIPT] } };
  const { stdout } = await crs("relay list", relays);
  const [head, row] = stdout.split("\n");
  assert.match(head!, /^RELAY +ADDRESS +PORT +LEASE +LAST HEARTBEAT/);
  assert.match(row!, /^r1 +10\.0\.0\.5 +50052 +20 ?s +2025-01-01T00:00:00\.000Z/);
  const { relays: listed, receipts } = JSON.parse((await crs("relay list --json", relays)).stdout);
  assert.equal(listed, [RELAY]);
  assert.equal(receipts, [RECEIPT]);
  const none = { "relays.list": { items: [], receipts: [] } };
  assert.is((await crs("relay list", none)).stdout, "No relay is registered.\n");
});

test("crs relay list says how old the answer of followers may be", async () => {
  const receipts = [{ ...RECEIPT, ageBoundMs: 40 }];
  const relays = { "relays.list": { items: [RELAY], receipts } };
  assert.is((await crs("relay list", relays)).stderr, "The list is at most 40 ms old.\n");
});

test("crs relay agents asks for one relay, whose name may move no cursor", async () => {
  const items = [{ ...PLACED, agentId: "a\u001b[2J" }];
  const { stdout, calls } = await crs("relay agents r1", {
    "relays.agentsOf": { items, receipts: [] },
  });
  assert.equal(calls, [["relays.agentsOf", "r1"]]);
  assert.ok(stdout.includes("a\\u001b[2J"), stdout);
});

test("crs relay placement shows both incarnations and the receipt; exit code 3 if it is gone", async () => {
  const placement = { ...PLACED, receipts: [RECEIPT] };
  const { code, stdout } = await crs("relay placement a1", { "relays.placement": placement });
  assert.is(code, 0);
  for (const text of [/relay +r1/, /incarnation +1\.7/, /of the relay +1\.5/, /partition 3/]) {
    assert.match(stdout, text);
  }
  const gone = () => Promise.reject(new RegistryError("not_found", "gone"));
  assert.is((await crs("relay placement a1", { "relays.placement": gone })).code, 3);
});

test.run();
