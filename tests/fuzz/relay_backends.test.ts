/**
 * Backends of the relay registry against each other: whatever is called, in whatever order and with
 * whatever pauses, the backend over leases answers as the one in memory does.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackedRelayRegistry } from "../../src/relay/backed_registry.ts";
import { ConsulStore } from "../../src/relay/leased/consul_store.ts";
import { LeasedRelayBackend } from "../../src/relay/leased/leased_backend.ts";
import { MemoryRelayBackend } from "../../src/relay/memory_backend.ts";
import type { RelayRegistry } from "../../src/relay/relay_registry.ts";
import { cases } from "../support/cases.ts";
import { FakeConsul } from "../support/fake_consul.ts";
import { rejectionOf } from "../support/refusal.ts";
import { SteppedWorld } from "../support/stepped_world.ts";

const ADDRESS = { kind: "consul", name: "consul://h:1", origin: "http://h:1" } as const;
/** Pauses are whole seconds, and the requests of a run take less than half of one together. */
const SESSION_TIMES = { relayTtlMs: 15_250, agentTtlMs: 10_250 };
/** Consul's sessions have whole seconds, rounded up, and end when twice that has passed. */
const TIMES = { relayTtlMs: 31_500, agentTtlMs: 21_500 };

type Step = (front: RelayRegistry, world: SteppedWorld) => Promise<unknown>;

const relayIds = fc.constantFrom("r1", "r2", "r3");
const agentIds = fc.constantFrom("a1", "a2", "a3");
const named = (name: string, step: Step): Step => Object.assign(step, { toString: () => name });

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(relayIds, fc.string({ minLength: 1, maxLength: 5, unit: "binary" }), fc.integer()).map(
    ([relayId, address, grpcPort]) =>
      named(
        `registerRelay ${relayId}`,
        (front) => front.registerRelay({ relayId, address, grpcPort }),
      ),
  ),
  relayIds.map((id) => named(`heartbeatRelay ${id}`, (front) => front.heartbeatRelay(id))),
  fc.tuple(agentIds, relayIds).map(([agent, relay]) =>
    named(`registerAgent ${agent} ${relay}`, (front) => front.registerAgent(agent, relay))
  ),
  fc.tuple(agentIds, fc.option(relayIds, { nil: undefined })).map(([agent, relay]) =>
    named(`heartbeatAgent ${agent} ${relay}`, (front) => front.heartbeatAgent(agent, relay))
  ),
  fc.integer({ min: 1, max: 15 }).map((seconds) =>
    named(`pause ${seconds} s`, (_, world) => world.pass(seconds * 1_000))
  ),
);

/** Returns all that a registry shows, without times. */
async function stateOf(front: RelayRegistry): Promise<unknown> {
  const relays = await front.listRelays();
  const agents: unknown[] = [];
  for (const { agentId } of await front.listAgents()) {
    const { relayId } = await front.placement(agentId);
    agents.push({ agentId, relayId });
  }
  const held: unknown[] = [];
  for (const relayId of ["r1", "r2", "r3"]) {
    for (const { agentId } of await front.agentsOf(relayId)) held.push(`${relayId} ${agentId}`);
  }
  const named = relays.map(({ relayId, address, grpcPort }) => ({ relayId, address, grpcPort }));
  return { relays: named, agents, held };
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  let outcome = "ok";
  await call.catch(async () => {
    const { code, message } = await rejectionOf(call);
    outcome = `${code} ${message}`;
  });
  return outcome;
}

test("the backend over leases answers as the one in memory does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 30 }), async (run) => {
      const worlds = [new SteppedWorld(), new SteppedWorld()] as const;
      const consul = new FakeConsul(worlds[1]);
      const store = new ConsulStore(ADDRESS, (request) => consul.answer(request), SESSION_TIMES);
      const fronts = [
        new BackedRelayRegistry(new MemoryRelayBackend(worlds[0], TIMES), worlds[0]),
        new BackedRelayRegistry(new LeasedRelayBackend(store, SESSION_TIMES), worlds[1]),
      ] as const;
      for (const step of run) {
        const [expected, actual] = await Promise.all(
          fronts.map((front, index) => outcomeOf(step(front, worlds[index]!))),
        );
        assert.is(actual, expected, `${run.map(String).join(", ")}: ${step}`);
      }
      assert.equal(await stateOf(fronts[1]), await stateOf(fronts[0]));
    }),
    { numRuns: cases(300) },
  );
});

test.run();
