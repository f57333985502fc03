/** AliasJanitor: when it runs, and when it is idle. For its repairs see domain_claims.test.ts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALIAS_SWEEP_MS, GROUP_TICK_MS } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { AliasJanitor } from "../../../src/serving/alias_janitor.ts";
import { ClaimSteps } from "../../../src/serving/claim_steps.ts";
import { DomainClaims } from "../../../src/serving/domain_claims.ts";
import { LeaderCalls } from "../../../src/serving/leader_calls.ts";
import { NO_NODE_CALLS } from "../../../src/serving/node_calls.ts";
import { Proposer } from "../../../src/serving/proposer.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { VirtualScheduler } from "../../support/virtual_scheduler.ts";

const ROUND_MS = ALIAS_SWEEP_MS + GROUP_TICK_MS;

/** Returns a janitor with its own clock over a registry whose own janitor and time stand still. */
async function janitorOf(harness: RegistryHarness) {
  const scheduler = new VirtualScheduler();
  const { registry, world } = harness;
  const { table, shared } = registry;
  const proposer = new Proposer({ monotonic: world, wall: world });
  const janitor = new AliasJanitor({
    table,
    claims: new DomainClaims(
      table,
      new ClaimSteps(table, proposer),
      new LeaderCalls({
        nodeId: 1,
        calls: NO_NODE_CALLS,
        clock: world,
        scheduler,
        entropy: world.entropy,
      }),
    ),
    aliasCount: () => shared.counts.aliases,
    clock: scheduler,
    scheduler,
    logger: SILENT_LOGGER,
  });
  janitor.start();
  await scheduler.advance(GROUP_TICK_MS);
  return { janitor, scheduler };
}

test("AliasJanitor sleeps where there is no alias", async () => {
  const { janitor, scheduler } = await janitorOf(await RegistryHarness.open());
  assert.is(scheduler.pendingCount, 0);
  janitor.stop();
});

test("AliasJanitor sleeps after a round without a fault, until a claim is made or dropped", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "a1.example" }));
  const { janitor, scheduler } = await janitorOf(harness);
  assert.is(scheduler.pendingCount, 1, "an alias is to be looked at");
  await scheduler.advance(ROUND_MS);
  assert.is(scheduler.pendingCount, 0, "and it is as it should be");
  janitor.heed("extended");
  assert.is(scheduler.pendingCount, 0);
  for (const type of ["claimed", "claim_dropped"] as const) {
    janitor.heed(type);
    assert.is(scheduler.pendingCount, 1, type);
    await scheduler.advance(ROUND_MS);
    assert.is(scheduler.pendingCount, 0, `a round after ${type}`);
  }
  janitor.stop();
});

test("AliasJanitor goes on while an alias is not as it should be", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "a1.example" }));
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "b1.example", sequence: 2 }));
  const { janitor, scheduler } = await janitorOf(harness);
  await scheduler.advance(ROUND_MS);
  assert.is(scheduler.pendingCount, 1, "its repair is under way");
  await harness.world.settle();
  assert.is(harness.alias("a1.example"), undefined, "repaired");
  await scheduler.advance(2 * ROUND_MS);
  assert.is(scheduler.pendingCount, 0);
  janitor.stop();
});

test.run();
