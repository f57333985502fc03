/** The URLs of relay backends, and the factory. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RELAY_TTL_MS_MAX } from "../../../src/base/limits.ts";
import { MemoryRelayBackend } from "../../../src/relay/memory_backend.ts";
import { openRelayRegistry } from "../../../src/relay/open_relay_registry.ts";
import { parseRelayUrl } from "../../../src/relay/relay_url.ts";
import { codeOf, refusalOf, rejectionOf } from "../../support/refusal.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

test("parseRelayUrl reads each kind with its default port", () => {
  assert.equal(parseRelayUrl("memory:"), { kind: "memory" });
  assert.equal(parseRelayUrl("memory"), { kind: "memory" });
  assert.equal(parseRelayUrl("cluster"), { kind: "cluster" });
  const redis = { kind: "redis", host: "h", port: 6379, db: 0, isTls: false };
  assert.equal(parseRelayUrl("redis://h"), { ...redis, name: "redis://h:6379/0" });
  assert.equal(parseRelayUrl("redis://h/"), { ...redis, name: "redis://h:6379/0" });
  assert.equal(parseRelayUrl("rediss://u%40x:p%2F%23%3Aw@[::1]:7000/12"), {
    kind: "redis",
    name: "rediss://[::1]:7000/12",
    host: "::1",
    port: 7000,
    db: 12,
    username: "u@x",
    password: "p/#:w",
    isTls: true,
  });
  assert.equal(parseRelayUrl("redis://:pw@h"), {
    ...redis,
    name: "redis://h:6379/0",
    password: "pw",
  });
  assert.equal(parseRelayUrl("etcd://h"), {
    kind: "etcd",
    name: "etcd://h:2379",
    origin: "http://h:2379",
  });
  assert.equal(parseRelayUrl("consul://[2001:db8::1]:1/"), {
    kind: "consul",
    name: "consul://[2001:db8::1]:1",
    origin: "http://[2001:db8::1]:1",
  });
  assert.equal(parseRelayUrl("etcds://u:p%40w@h"), {
    kind: "etcd",
    name: "etcds://h:2379",
    origin: "https://h:2379",
    username: "u",
    password: "p@w",
  });
  assert.equal(parseRelayUrl("consuls://:token@h"), {
    kind: "consul",
    name: "consuls://h:8501",
    origin: "https://h:8501",
    password: "token",
  });
});

test("parseRelayUrl refuses others, and tells no password", () => {
  const urls = [
    "",
    "hunter2",
    "redis",
    "http://h:6379",
    "memory://hunter2",
    "redis:hunter2",
    "redis://",
    "redis://u:hunter2@",
    "redis://u:hunter2@h:port",
    "redis://u:hunter2@h/name",
    "redis://u:hunter2@h/1/2",
    "redis://u:hunter2@h/-1",
    "redis://u:hunter2@h?db=1",
    "redis://u:hunter2#h",
    "redis://u:%ff-hunter2@h",
    "redis://hunter2@h",
    "etcd://hunter2@h",
    "etcd://:hunter2@h",
    "consul://hunter2@h",
    "consul://u:hunter2@h",
    "consul://:hunter2%0A@h",
    "consul://:hunter2%E2%82%AC@h",
    "etcd://h/hunter2",
    "consul://h/?token=hunter2",
  ];
  for (const url of urls) {
    const { code, message, fields } = refusalOf(() => parseRelayUrl(url));
    assert.is(code, "invalid_configuration", url);
    assert.is(fields.field, "relay-backend");
    assert.not.match(message, "hunter2");
    assert.match(message, "The relay backend must");
  }
});

test("openRelayRegistry refuses leases that a backend cannot keep", async () => {
  const world = new SteppedWorld();
  const open = (url: string, times: object) => codeOf(openRelayRegistry(url, { world, ...times }));
  for (const ttlMs of [0, 99, -1, 1.5, NaN, RELAY_TTL_MS_MAX + 1]) {
    assert.is(await open("memory:", { relayTtlMs: ttlMs }), "invalid_configuration");
    assert.is(await open("memory:", { agentTtlMs: ttlMs }), "invalid_configuration");
  }
  assert.is(await open("consul://127.0.0.1", { relayTtlMs: 9_999 }), "invalid_configuration");
  assert.is(await open("memory:", { relayTtlMs: 100, agentTtlMs: RELAY_TTL_MS_MAX }), "ok");
});

test("openRelayRegistry uses the cluster's backend that its caller brings", async () => {
  const world = new SteppedWorld();
  const { message } = await rejectionOf(openRelayRegistry("cluster", { world }));
  assert.match(message, "no cluster was given");
  const seen: unknown[] = [];
  const registry = await openRelayRegistry("cluster", {
    world,
    agentTtlMs: 5_000,
    cluster: (times) => {
      seen.push(times);
      return new MemoryRelayBackend(world, times);
    },
  });
  assert.equal(seen, [{ relayTtlMs: 30_000, agentTtlMs: 5_000 }]);
  assert.equal(await registry.listRelays(), []);
  await registry.close();
});

test.run();
