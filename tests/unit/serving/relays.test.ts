/** Who may write relays and place agents at them, and what else the operations refuse. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { relayCodec } from "../../../schemas/gen/record.ts";
import { NO_GRANTS, type Role } from "../../../src/base/peer.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import type { Client } from "../../../src/client/mod.ts";
import type { OperationCaller } from "../../../src/client/invoker.ts";
import { KIND_RELAY } from "../../../src/record/key.ts";
import { codeOf } from "../../support/refusal.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

/** A registry to whose sessions a test gives identities. */
class RelayScene {
  readonly harness: RegistryHarness;
  static #next: { readonly role: Role; readonly number: number } = { role: "gateway", number: 1 };

  private constructor(harness: RegistryHarness) {
    this.harness = harness;
  }

  static async open(): Promise<RelayScene> {
    const harness = await RegistryHarness.open({
      peer: (revoked) => {
        const { role, number } = RelayScene.#next;
        return {
          ...{ subject: `${role} ${number}`, subjectId: idOf(number), role, region: "global" },
          ...{ leafHash: new Uint8Array(32), lineage: number, grants: NO_GRANTS },
          ...{ expiresAtMs: Infinity, pinned: true, revoked },
        };
      },
    });
    await harness.raiseVersion();
    return new RelayScene(harness);
  }

  async client(role: Role, number = 1): Promise<Client & OperationCaller> {
    RelayScene.#next = { role, number };
    return await this.harness.client();
  }

  code(call: Promise<unknown>): Promise<string> {
    return this.harness.world.wait(codeOf(call));
  }
}

const relay = (relayId: string) => ({ relayId, address: "10.0.0.5", grpcPort: 50_052 });
const DENIED = "permission_denied";

test("a relay belongs to the gateway that registered it, while it lives", async () => {
  const scene = await RelayScene.open();
  const [one, other] = [await scene.client("gateway", 1), await scene.client("gateway", 2)];
  assert.is(await scene.code(one.relays.register(relay("r1"))), "ok");
  assert.is(await scene.code(other.relays.register(relay("r1"))), DENIED);
  assert.is(await scene.code(other.relays.heartbeat("r1")), DENIED);
  assert.is(await scene.code(other.relays.place({ agentId: "a1", relayId: "r1" })), DENIED);
  assert.is(await scene.code(one.relays.place({ agentId: "a1", relayId: "r1" })), "ok");
  assert.is(await scene.code(other.relays.heartbeatAgent("a1", "r1")), DENIED);
  await scene.harness.world.pass(31_000);
  const heir = await scene.client("gateway", 2);
  assert.is(await scene.code(heir.relays.register(relay("r1"))), "ok");
  const first = await scene.client("gateway", 1);
  assert.is(await scene.code(first.relays.heartbeat("r1")), DENIED);
});

test("a relay takes over the agent of another owner, whose heartbeat moves nothing back", async () => {
  const scene = await RelayScene.open();
  const [one, other] = [await scene.client("gateway", 1), await scene.client("gateway", 2)];
  assert.is(await scene.code(one.relays.register(relay("r1"))), "ok");
  assert.is(await scene.code(other.relays.register(relay("r2"))), "ok");
  assert.is(await scene.code(one.relays.place({ agentId: "a1", relayId: "r1" })), "ok");
  assert.is(await scene.code(other.relays.place({ agentId: "a1", relayId: "r2" })), "ok");
  assert.is(await scene.code(one.relays.heartbeatAgent("a1", "r1")), "not_found");
  assert.is(await scene.code(other.relays.heartbeatAgent("a1", "r2")), "ok");
  assert.is((await scene.harness.world.wait(one.relays.placement("a1"))).relayId, "r2");
});

test("the heartbeat of an agent is refused once the incarnation of its relay has ended", async () => {
  const scene = await RelayScene.open();
  const { relays } = await scene.client("development", 0);
  const placement = { agentId: "a1", relayId: "r1", ttlMs: 60_000 };
  assert.is(await scene.code(relays.register({ ...relay("r1"), ttlMs: 5_000 })), "ok");
  assert.is(await scene.code(relays.place(placement)), "ok");
  await scene.harness.world.pass(7_000);
  assert.is(await scene.code(relays.heartbeatAgent("a1", "r1")), "not_found");
  assert.is(await scene.code(relays.register(relay("r1"))), "ok");
  for (const holder of ["r1", undefined]) {
    assert.is(await scene.code(relays.heartbeatAgent("a1", holder)), "not_found");
  }
  assert.is(await scene.code(relays.placement("a1")), "not_found");
  assert.is(await scene.code(relays.place(placement)), "ok");
  assert.is(await scene.code(relays.heartbeatAgent("a1", "r1")), "ok");
});

test("all fronts own the relays of callers without an identity, under their credential", async () => {
  const scene = await RelayScene.open();
  const [one, other] = [await scene.client("front", 1), await scene.client("front", 2)];
  const gateway = await scene.client("gateway", 3);
  const [own, foreign] = [{ credentialHash: "aa" }, { credentialHash: "bb" }];
  assert.is(await scene.code(one.relays.register(relay("r1"), own)), "ok");
  assert.is(await scene.code(other.relays.heartbeat("r1", own)), "ok");
  const placement = { agentId: "a1", relayId: "r1" };
  assert.is(await scene.code(other.relays.place(placement, own)), "ok");
  for (const options of [foreign, {}]) {
    assert.is(await scene.code(one.relays.register(relay("r1"), options)), DENIED);
    assert.is(await scene.code(one.relays.heartbeat("r1", options)), DENIED);
    assert.is(await scene.code(one.relays.place(placement, options)), DENIED);
    assert.is(await scene.code(one.relays.heartbeatAgent("a1", "r1", options)), DENIED);
  }
  assert.is(await scene.code(gateway.relays.heartbeat("r1", own)), DENIED);
  assert.is(await scene.code(one.relays.heartbeatAgent("a1", undefined, own)), "ok");
  // It writes nothing else: agents and gateways are written by their owners.
  const agent = { id: "40000000-0000-0000-0000-000000000001", region: "global" };
  assert.is(await scene.code(one.registerAgent(agent)), DENIED);
});

test("proxies and controllers read relays and register none; agents and nodes register none", async () => {
  const scene = await RelayScene.open();
  const gateway = await scene.client("gateway", 1);
  assert.is(await scene.code(gateway.relays.register(relay("r1"))), "ok");
  for (const role of ["proxy", "controller"] as const) {
    const client = await scene.client(role, 2);
    assert.is(await scene.code(client.relays.list()), "ok");
    assert.is(await scene.code(client.relays.agentsOf("r1")), "ok");
    assert.is(await scene.code(client.relays.register(relay("r2"))), DENIED);
    assert.is(await scene.code(client.relays.heartbeat("r1")), DENIED);
  }
  assert.is(
    await scene.code((await scene.client("agent", 3)).relays.register(relay("r3"))),
    DENIED,
  );
  const node = await scene.client("node", 4);
  assert.is(await scene.code(node.relays.list()), DENIED);
  assert.is(await scene.code(node.relays.register(relay("r4"))), DENIED);
});

test("registrations that name a kind refuse relays, whose owner they do not check", async () => {
  const scene = await RelayScene.open();
  const client = await scene.client("development", 0);
  const { world } = scene.harness;
  const record = relayCodec.encode({
    ...relayCodec.empty(),
    ...{ id: idOf(1), process: 7, sequence: 1, ttlMs: 30_000, region: "global", relayId: "r1" },
  });
  const item = { kind: KIND_RELAY, record, expected: NO_POSITION };
  const { items } = await world.wait(client.call("registerMany", { items: [item] }));
  assert.ok(items[0]!.code !== 0);
  assert.equal((await world.wait(client.relays.list())).items, []);
});

test("names that are empty, too long or no text are refused before anything is asked", async () => {
  const scene = await RelayScene.open();
  const { relays } = await scene.client("development", 0);
  for (const name of ["", "x".repeat(513), "ä".repeat(257)]) {
    assert.is(await scene.code(relays.register(relay(name))), "invalid_argument");
    assert.is(await scene.code(relays.heartbeat(name)), "invalid_argument");
    assert.is(await scene.code(relays.placement(name)), "invalid_argument");
    assert.is(await scene.code(relays.place({ agentId: name, relayId: "r1" })), "invalid_argument");
  }
  assert.is(await scene.code(relays.register({ ...relay("r1"), address: "" })), "invalid_argument");
  assert.is(await scene.code(relays.register({ ...relay("r1"), ttlMs: 10 })), "invalid_argument");
});

test.run();
