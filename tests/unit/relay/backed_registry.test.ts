/** The rules above all backends: arguments, lists, deadlines, cancellation and closing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  RELAY_ADDRESS_BYTES_MAX,
  RELAY_CALL_MS_DEFAULT,
  RELAY_CALLS_MAX,
  RELAY_ENTRY_BYTES,
  RELAY_ID_BYTES_MAX,
  RELAY_LIST_BYTES_MAX,
  RELAY_LIST_ENTRIES_MAX,
  RELAY_LISTS_MAX,
} from "../../../src/base/limits.ts";
import { BackedRelayRegistry } from "../../../src/relay/backed_registry.ts";
import type { BackendCall, RelayBackend } from "../../../src/relay/relay_backend.ts";
import type { AgentPlacement, Relay, RelayRegistry } from "../../../src/relay/relay_registry.ts";
import { codeOf, rejectionOf } from "../../support/refusal.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

/** A backend whose answers the test gives; without one it answers when the call is aborted. */
class ScriptedBackend implements RelayBackend {
  readonly name = "scripted:";
  readonly calls: BackendCall[] = [];
  closedCount = 0;
  answer: (() => unknown) | undefined;

  putRelay = (_relay: unknown, call: BackendCall) => this.#run<void>(call);
  renewRelay = (_relayId: string, call: BackendCall) => this.#run<boolean>(call);
  placeAgent = (_agentId: string, _relayId: string, call: BackendCall) => this.#run<boolean>(call);
  renewAgent = (_agentId: string, _relayId: string | undefined, call: BackendCall) =>
    this.#run<boolean>(call);
  relays = (_countMax: number, call: BackendCall) => this.#run<Relay[]>(call);
  agents = (_relayId: string | undefined, _countMax: number, call: BackendCall) =>
    this.#run<AgentPlacement[]>(call);
  placement = (_agentId: string, call: BackendCall) => this.#run<AgentPlacement | undefined>(call);
  close = () => Promise.resolve(void this.closedCount++);

  #run<T>(call: BackendCall): Promise<T> {
    this.calls.push(call);
    const { answer } = this;
    if (answer !== undefined) return Promise.resolve().then(() => answer() as T);
    return new Promise((_, reject) => {
      call.signal.addEventListener("abort", () => reject(new Error("aborted")));
    });
  }
}

function stage() {
  const world = new SteppedWorld();
  const backend = new ScriptedBackend();
  return { world, backend, front: new BackedRelayRegistry(backend, world) };
}

test("BackedRelayRegistry refuses what lacks a field, in the words that others know", async () => {
  const { backend, front } = stage();
  const relay = { relayId: "r1", address: "a", grpcPort: 1 };
  const cases: [string, Promise<unknown>][] = [
    ["Relay is required", front.registerRelay(undefined)],
    ["RelayId is required", front.registerRelay({ ...relay, relayId: "", address: "" })],
    ["Address is required", front.registerRelay({ ...relay, address: "" })],
    ["RelayId is required", front.heartbeatRelay("")],
    ["RelayId is required", front.registerAgent(undefined, "")],
    ["Agent is required", front.registerAgent(undefined, "r1")],
    ["AgentId is required", front.registerAgent("", "r1")],
    ["AgentId is required", front.heartbeatAgent("", "r1")],
    ["RelayId is required", front.heartbeatAgent("a1", "")],
    ["RelayId is required", front.agentsOf("")],
    ["AgentId is required", front.placement("")],
  ];
  for (const [message, call] of cases) {
    const refusal = await rejectionOf(call);
    assert.is(refusal.code, "invalid_argument");
    assert.is(refusal.message, message);
  }
  assert.is(backend.calls.length, 0);
});

test("BackedRelayRegistry bounds ids, addresses and ports", async () => {
  const { backend, front } = stage();
  backend.answer = () => true;
  const longest = "é".repeat(RELAY_ID_BYTES_MAX / 2);
  const address = "x".repeat(RELAY_ADDRESS_BYTES_MAX);
  await front.registerRelay({ relayId: longest, address, grpcPort: -0x8000_0000 });
  const refused = [
    { relayId: `${longest}x`, address, grpcPort: 1 },
    { relayId: "x".repeat(1_000_000), address, grpcPort: 1 },
    { relayId: "\ud800", address, grpcPort: 1 },
    { relayId: "r", address: `${address}x`, grpcPort: 1 },
    { relayId: "r", address: "a", grpcPort: 0x8000_0000 },
    { relayId: "r", address: "a", grpcPort: 1.5 },
    { relayId: "r", address: "a", grpcPort: NaN },
  ];
  for (const relay of refused) {
    assert.is(await codeOf(front.registerRelay(relay)), "invalid_argument");
  }
  assert.is(await codeOf(front.placement(`${longest}x`)), "invalid_argument");
  assert.is(backend.calls.length, 1);
});

test("BackedRelayRegistry refuses a list that is too long or too large", async () => {
  const { backend, front } = stage();
  const placements = (count: number, bytes: number) =>
    Array.from({ length: count }, (_, index) => ({
      agentId: String(index).padStart(bytes, "0"),
      relayId: "r",
      lastUpdatedUnixMs: 1,
    }));
  backend.answer = () => placements(RELAY_LIST_ENTRIES_MAX, 6);
  assert.is((await front.listAgents()).length, RELAY_LIST_ENTRIES_MAX);
  backend.answer = () => placements(RELAY_LIST_ENTRIES_MAX + 1, 6);
  assert.is(await codeOf(front.listAgents()), "too_large");
  const count = Math.floor(RELAY_LIST_BYTES_MAX / (RELAY_ENTRY_BYTES + 500));
  backend.answer = () => placements(count, 500);
  assert.is((await front.listAgents()).length, count);
  backend.answer = () => placements(count + 1, 500);
  assert.is(await codeOf(front.listAgents()), "too_large");
});

test("BackedRelayRegistry answers at the deadline though the backend is silent", async () => {
  const { world, backend, front } = stage();
  const late = rejectionOf(front.listRelays());
  await world.pass(RELAY_CALL_MS_DEFAULT - 1);
  assert.not(backend.calls[0]?.signal.aborted);
  await world.pass(1);
  const { code, message } = await late;
  assert.is(code, "deadline_exceeded");
  assert.is(message, `scripted: did not answer within ${RELAY_CALL_MS_DEFAULT} ms`);
  assert.ok(backend.calls[0]?.signal.aborted);
  const own = codeOf(front.listRelays({ timeoutMs: 10 }));
  await world.pass(10);
  assert.is(await own, "deadline_exceeded");
  for (const timeoutMs of [0, -1, NaN, Infinity]) {
    assert.is(await codeOf(front.listRelays({ timeoutMs })), "invalid_argument");
  }
});

test("BackedRelayRegistry ends calls whose caller gave up, or when it is closed", async () => {
  const { backend, front } = stage();
  const caller = new AbortController();
  const canceled = codeOf(front.listRelays({ signal: caller.signal }));
  const closed = codeOf(front.listRelays());
  caller.abort();
  assert.is(await canceled, "canceled");
  assert.is(await codeOf(front.listRelays({ signal: caller.signal })), "canceled");
  await front.close();
  await front.close();
  assert.is(await closed, "shutting_down");
  assert.is(backend.calls.length, 2);
  assert.is(backend.closedCount, 1);
});

test("BackedRelayRegistry bounds the calls in flight, those of gone callers included", async () => {
  const { backend, front } = stage();
  let finish = () => {};
  const finished = new Promise<void>((resolve) => finish = resolve);
  backend.answer = () => finished.then(() => []);
  const caller = new AbortController();
  const calls = Array.from(
    { length: RELAY_CALLS_MAX },
    () => codeOf(front.heartbeatRelay("r1", { signal: caller.signal })),
  );
  assert.is(await codeOf(front.heartbeatRelay("r1")), "overloaded");
  const lists = Array.from(
    { length: RELAY_LISTS_MAX },
    (_, index) => codeOf(index % 2 === 0 ? front.listRelays() : front.agentsOf("r1")),
  );
  assert.is(await codeOf(front.listAgents()), "overloaded");
  caller.abort();
  for (const code of await Promise.all(calls)) assert.is(code, "canceled");
  assert.is(await codeOf(front.heartbeatRelay("r1")), "overloaded");
  finish();
  for (const code of await Promise.all(lists)) assert.is(code, "ok");
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.is(await codeOf(front.heartbeatRelay("r1")), "ok");
});

test("BackedRelayRegistry passes on codes of a backend, and gives others its own", async () => {
  const { backend, front } = stage();
  const failWith = (error: unknown) => {
    backend.answer = () => {
      throw error;
    };
    return codeOf((front as RelayRegistry).listRelays());
  };
  assert.is(await failWith(new RegistryError("connection_lost", "down")), "connection_lost");
  assert.is(await failWith(new Error("a bug")), "internal");
});

test.run();
