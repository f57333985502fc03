/**
 * The etcd backend at a real etcd: the conformance suite, and the faults of a server.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RelayRegistry } from "../../../src/relay/relay_registry.ts";
import { BackendServer } from "../../support/backend_server.ts";
import { etcdPlan } from "../../support/etcd_server.ts";
import { codeOf } from "../../support/refusal.ts";
import { ETCD, testWith } from "../../support/requirement.ts";
import { until } from "../../support/until.ts";
import { testConformance } from "../../unit/relay/conformance.ts";
import { serverStage, timed, withFrontAt } from "./server_stage.ts";

const etcdTest = testWith(ETCD);
/** The shortest leases of etcd, and a longer one for relays. */
const TIMES = { relayTtlMs: 4_000, agentTtlMs: 2_000 };

let shared: BackendServer | undefined;

/** Returns the server of tests that do it no harm, without entries. */
async function emptyServer(): Promise<BackendServer> {
  shared ??= await BackendServer.start(etcdPlan(ETCD.found!));
  // All keys, from the first on.
  await post(shared.port, "/v3/kv/deleterange", { key: btoa("\0"), range_end: btoa("\0") });
  return shared;
}

async function post(port: number, path: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  assert.is(response.status, 200, JSON.stringify(answer));
  return answer;
}

async function tokenOf(port: number): Promise<string> {
  const user = { name: "root", password: "secret" };
  return String((await post(port, "/v3/auth/authenticate", user)).token);
}

test.after(() => shared?.close());

testConformance(
  "EtcdRelayBackend",
  etcdTest,
  async () =>
    serverStage(`etcd://127.0.0.1:${(await emptyServer()).port}`, {
      times: TIMES,
      // Whole seconds, cut off.
      clockErrorMs: 1_000,
    }),
);

/** Runs a test at a server of its own, with a front. */
function ownServerTest(
  name: string,
  use: (front: RelayRegistry, server: BackendServer) => Promise<void>,
  settings: readonly string[] = [],
): void {
  etcdTest(name, (program) =>
    BackendServer.with(
      etcdPlan(program, settings),
      (server) =>
        withFrontAt(`etcd://127.0.0.1:${server.port}`, TIMES, (front) => use(front, server)),
    ));
}

const relay = (relayId: string) => ({ relayId, address: "192.0.2.1", grpcPort: 1 });

ownServerTest("EtcdRelayBackend serves again by itself after its server was killed", async (
  front,
  server,
) => {
  await front.registerRelay(relay("r1"));
  await front.registerAgent("a1", "r1");
  await server.kill();
  for (let attempt = 0; attempt < 5; attempt++) {
    const { code, tookMs } = await timed(front.listRelays());
    assert.is(code, "connection_lost");
    assert.ok(tookMs < 2_000, `${tookMs} ms`);
  }
  await server.start();
  await until("the front serves again", async () => await codeOf(front.listRelays()) === "ok");
  // Its data is on disk, and it prolongs leases when it starts.
  await front.heartbeatRelay("r1");
  assert.is((await front.placement("a1")).relayId, "r1");
});

ownServerTest("EtcdRelayBackend fails calls in time while its server is stopped", async (
  front,
  server,
) => {
  await front.registerRelay(relay("r1"));
  await server.pause();
  const calls = [front.listRelays(), front.heartbeatRelay("r1"), front.placement("a1")];
  for (const { code, tookMs } of await Promise.all(calls.map(timed))) {
    assert.is(code, "deadline_exceeded");
    assert.ok(tookMs < 4_500, `${tookMs} ms`);
  }
  const { code, tookMs } = await timed(front.listRelays({ timeoutMs: 100 }));
  assert.is(code, "deadline_exceeded");
  assert.ok(tookMs < 1_000, `${tookMs} ms`);
  server.resume();
  await until(
    "the front serves again",
    async () => await codeOf(front.registerRelay(relay("r1"))) === "ok",
  );
});

ownServerTest(
  "EtcdRelayBackend reads and says that nothing is written while its server has no space",
  async (front, { port }) => {
    await front.registerRelay(relay("r1"));
    const value = btoa("x".repeat(1_000_000));
    for (let count = 0; count < 64; count++) {
      const put = { key: btoa(`filling ${count}`), value };
      const response = await fetch(`http://127.0.0.1:${port}/v3/kv/put`, {
        method: "POST",
        body: JSON.stringify(put),
      });
      await response.body?.cancel();
      if (response.status !== 200) break;
    }
    assert.is(await codeOf(front.registerRelay(relay("r2"))), "storage_unavailable");
    assert.is(await codeOf(front.listRelays()), "ok");
  },
  ["--quota-backend-bytes", "4194304"],
);

ownServerTest("EtcdRelayBackend needs a user of a server that has users", async (
  front,
  { port },
) => {
  await post(port, "/v3/auth/user/add", { name: "root", password: "secret" });
  await post(port, "/v3/auth/user/grant", { user: "root", role: "root" });
  await post(port, "/v3/auth/enable", {});
  assert.is(await codeOf(front.registerRelay(relay("r1"))), "invalid_configuration");
  assert.is(await codeOf(front.listRelays()), "invalid_configuration");
  await withFrontAt(`etcd://root:wrong@127.0.0.1:${port}`, TIMES, async (wrong) => {
    assert.is(await codeOf(wrong.listRelays()), "invalid_configuration");
  });
  await withFrontAt(`etcd://root:secret@127.0.0.1:${port}`, TIMES, async (known) => {
    await known.registerRelay(relay("r1"));
    assert.is((await known.listRelays()).length, 1);
    // Any change of users ends all tokens.
    await fetch(`http://127.0.0.1:${port}/v3/auth/user/add`, {
      method: "POST",
      headers: { authorization: await tokenOf(port) },
      body: JSON.stringify({ name: "other", password: "other" }),
    }).then((response) => response.body?.cancel());
    await known.heartbeatRelay("r1");
  });
});

ownServerTest("EtcdRelayBackend leaves nothing behind", async (front, { port }) => {
  await front.registerRelay(relay("r1"));
  for (let count = 0; count < 3; count++) await front.registerAgent(`a${count}`, "r1");
  await until("all entries and leases have ended", async () => {
    const range = { key: btoa("\0"), range_end: btoa("\0"), count_only: true };
    const { count } = await post(port, "/v3/kv/range", range);
    const { leases } = await post(port, "/v3/lease/leases", {});
    return count === undefined && (leases === undefined || (leases as unknown[]).length === 0);
  }, 15_000);
});

test.run();
