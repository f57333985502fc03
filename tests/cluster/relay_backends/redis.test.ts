/**
 * The Redis backend at a real redis-server: the conformance suite, and the faults of a server and of the
 * way to it.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RELAY_RETRY_MS } from "../../../src/base/limits.ts";
import type { RelayRegistry } from "../../../src/relay/relay_registry.ts";
import { BackendServer } from "../../support/backend_server.ts";
import { redisPlan, withRedis } from "../../support/redis_server.ts";
import { codeOf, rejectionOf } from "../../support/refusal.ts";
import { REDIS_SERVER, testWith } from "../../support/requirement.ts";
import { until } from "../../support/until.ts";
import { testConformance } from "../../unit/relay/conformance.ts";
import { serverStage, timed, withFrontAt } from "./server_stage.ts";

const redisTest = testWith(REDIS_SERVER);
const TIMES = { relayTtlMs: 3_000, agentTtlMs: 2_000 };
const SECRET = "a/secret:#?";

let shared: BackendServer | undefined;

/** Returns the server of tests that do it no harm, without entries. */
async function emptyServer(): Promise<BackendServer> {
  shared ??= await BackendServer.start(redisPlan(REDIS_SERVER.found!));
  await withRedis(shared.port, (redis) => redis.flushall());
  return shared;
}

test.after(() => shared?.close());

testConformance(
  "RedisRelayBackend",
  redisTest,
  async () =>
    serverStage(`redis://127.0.0.1:${(await emptyServer()).port}`, {
      times: TIMES,
      clockErrorMs: 10,
    }),
);

/** Runs a test at a server of its own, with a front. */
function ownServerTest(
  name: string,
  use: (front: RelayRegistry, server: BackendServer, program: string) => Promise<void>,
): void {
  redisTest(name, (program) =>
    BackendServer.with(
      redisPlan(program),
      (server) =>
        withFront(
          `redis://127.0.0.1:${server.port}`,
          (front) => use(front, server, program),
        ),
    ));
}

const withFront = (url: string, use: (front: RelayRegistry) => Promise<void>) =>
  withFrontAt(url, TIMES, use);
const relay = (relayId: string) => ({ relayId, address: "192.0.2.1", grpcPort: 1 });

ownServerTest("RedisRelayBackend serves again by itself after its server was killed", async (
  front,
  server,
) => {
  await front.registerRelay(relay("r1"));
  await server.kill();
  for (let attempt = 0; attempt < 5; attempt++) {
    const { code, tookMs } = await timed(front.listRelays());
    assert.is(code, "connection_lost");
    assert.ok(tookMs < 2_000, `${tookMs} ms`);
  }
  // It ends before there is a server, which must not hear of it.
  assert.ok(await codeOf(front.registerRelay(relay("late"), { timeoutMs: 1 })) !== "ok");
  await server.start();
  await until("the front serves again", async () => await codeOf(front.listRelays()) === "ok");
  assert.equal(await front.listRelays(), []);
  assert.is(await codeOf(front.heartbeatRelay("r1")), "not_found");
  await front.registerRelay(relay("r1"));
});

ownServerTest("RedisRelayBackend fails calls in time while its server is stopped", async (
  front,
  server,
) => {
  await front.registerRelay(relay("r1"));
  await server.pause();
  const calls = [front.listRelays(), front.heartbeatRelay("r1"), front.placement("a1")];
  for (const { code, tookMs } of await Promise.all(calls.map(timed))) {
    assert.ok(["deadline_exceeded", "connection_lost"].includes(code), code);
    assert.ok(tookMs < 4_500, `${tookMs} ms`);
  }
  const { code, tookMs } = await timed(front.listRelays({ timeoutMs: 100 }));
  assert.ok(["deadline_exceeded", "connection_lost"].includes(code), code);
  assert.ok(tookMs < 1_000, `${tookMs} ms`);
  server.resume();
  await until("the front serves again", async () => await codeOf(front.listRelays()) === "ok");
});

ownServerTest("RedisRelayBackend keeps live entries while its server has no memory", async (
  front,
  server,
) => {
  await front.registerRelay(relay("r1"));
  await front.registerAgent("a1", "r1");
  await withRedis(server.port, (redis) => redis.config("SET", "maxmemory", "1"));
  const { code, fields } = await rejectionOf(front.registerRelay(relay("r2")));
  assert.is(code, "overloaded");
  assert.is(fields.retryAfterMs, RELAY_RETRY_MS);
  assert.is(await codeOf(front.registerAgent("a2", "r1")), "overloaded");
  assert.is(await codeOf(front.placement("a2")), "not_found");
  const endMs = performance.now() + TIMES.relayTtlMs * 1.5;
  await until("the leases would have ended", async () => {
    await front.heartbeatRelay("r1");
    await front.heartbeatAgent("a1", "r1");
    return performance.now() > endMs;
  }, 10_000);
  assert.is((await front.listAgents()).length, 1);
  await withRedis(server.port, (redis) => redis.config("SET", "maxmemory", "0"));
  await front.registerRelay(relay("r2"));
});

ownServerTest("RedisRelayBackend reads from a replica, and says that it cannot write there", async (
  front,
  server,
  program,
) => {
  await BackendServer.with(
    redisPlan(program, ["--replicaof", "127.0.0.1", `${server.port}`]),
    (replica) =>
      withFront(`redis://127.0.0.1:${replica.port}`, async (reader) => {
        await until("the replica has the agent", async () => {
          await front.registerRelay(relay("r1"));
          await front.registerAgent("a1", "r1");
          return await codeOf(reader.placement("a1")) === "ok";
        }, 10_000);
        assert.is((await reader.listAgents()).length, 1);
        const writes = [
          reader.registerRelay(relay("r2")),
          reader.heartbeatRelay("r1"),
          reader.registerAgent("a1", "r1"),
          reader.heartbeatAgent("a1", "r1"),
        ];
        for (const write of writes) assert.is(await codeOf(write), "not_leader");
      }),
  );
});

redisTest(
  "RedisRelayBackend uses its database and password, and tells neither",
  (program) =>
    BackendServer.with(redisPlan(program, ["--requirepass", SECRET]), async ({ port }) => {
      const urlOf = (password: string, db: number) =>
        `redis://default:${encodeURIComponent(password)}@127.0.0.1:${port}/${db}`;
      await withFront(urlOf(SECRET, 3), async (front) => {
        await front.registerRelay(relay("r1"));
        await front.registerAgent("a1", "r1");
      });
      await withRedis(port, async (redis) => {
        assert.equal(await redis.keys("*"), []);
        await redis.select(3);
        const keys = await redis.keys("*");
        assert.is(keys.length, 5);
        for (const key of keys) assert.match(key, /^\{crs\}:/);
      }, SECRET);
      for (
        const url of [urlOf("another/secret", 3), urlOf(SECRET, 99), `redis://127.0.0.1:${port}`]
      ) {
        await withFront(url, async (front) => {
          const refusal = await rejectionOf(front.registerRelay(relay("r1")));
          assert.is(refusal.code, "invalid_configuration");
          assert.not.match(refusal.message, /secret/);
          assert.is(refusal.cause, undefined);
        });
      }
    }),
);

redisTest(
  "RedisRelayBackend runs in a Redis Cluster, at the node with its slot",
  (program) =>
    BackendServer.with(redisPlan(program, ["--cluster-enabled", "yes"]), async ({ port }) => {
      await withFront(`redis://127.0.0.1:${port}`, async (front) => {
        assert.is(await codeOf(front.registerRelay(relay("r1"))), "overloaded");
        await withRedis(port, (redis) => redis.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383"));
        await until(
          "the cluster serves",
          async () => await codeOf(front.registerRelay(relay("r1"))) === "ok",
        );
        await front.registerRelay(relay("r2"));
        await front.registerAgent("a1", "r1");
        await front.registerAgent("a1", "r2");
        await front.heartbeatAgent("a1", "r2");
        assert.is((await front.placement("a1")).relayId, "r2");
        assert.is((await front.listAgents()).length, 1);
      });
    }),
);

ownServerTest("RedisRelayBackend sends its scripts again when Redis forgot them", async (
  front,
  server,
) => {
  await front.registerRelay(relay("r1"));
  await withRedis(server.port, (redis) => redis.script("FLUSH"));
  await front.registerRelay(relay("r1"));
  assert.is((await front.listRelays()).length, 1);
});

ownServerTest("RedisRelayBackend fails coded where a key holds something else", async (
  front,
  server,
) => {
  await withRedis(server.port, (redis) => redis.set("{crs}:relay:r1", "not a hash"));
  assert.is(await codeOf(front.registerRelay(relay("r1"))), "internal");
  await front.registerRelay(relay("r2"));
});

test.run();
