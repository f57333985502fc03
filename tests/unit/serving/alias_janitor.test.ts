/** AliasJanitor: when it runs, and when it is idle. For its repairs see domain_claims.test.ts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALIAS_LED_CHECK_MS, ALIAS_SWEEP_MS, GROUP_TICK_MS } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { AliasJanitor } from "../../../src/serving/alias_janitor.ts";
import { ClaimSteps } from "../../../src/serving/claim_steps.ts";
import { DomainClaims } from "../../../src/serving/domain_claims.ts";
import { LeaderCalls } from "../../../src/serving/leader_calls.ts";
import { NO_NODE_CALLS } from "../../../src/serving/node_calls.ts";
import {
  type Partition,
  type PartitionPlace,
  PartitionTable,
} from "../../../src/serving/partitions.ts";
import { Proposer } from "../../../src/serving/proposer.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { VirtualScheduler } from "../../support/virtual_scheduler.ts";

const ROUND_MS = ALIAS_SWEEP_MS + GROUP_TICK_MS;

/** Returns a janitor with its own clock over a registry whose own janitor and time stand still. */
async function janitorOf(
  harness: RegistryHarness,
  change: (partition: Partition) => PartitionPlace = (partition) => partition,
) {
  const scheduler = new VirtualScheduler();
  const { registry, world } = harness;
  const { shared } = registry;
  const places = Array.from(registry.table.here(), change);
  const table = new PartitionTable(registry.table.partitioner, places);
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
  return { janitor, scheduler, table };
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
  janitor.onEvent();
  assert.is(scheduler.pendingCount, 1);
  await scheduler.advance(ROUND_MS);
  assert.is(scheduler.pendingCount, 0);
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

/** A partition whose leader has no lease; what it proposes is logged as ever. */
function seen(partition: Partition, as: Partial<Partition["group"]>): Partition {
  const { group } = partition;
  const propose: Partition["group"]["propose"] = (...args) => group.propose(...args);
  const timeMs = () => group.timeMs();
  const readBarrier: Partition["group"]["readBarrier"] = (...args) => group.readBarrier(...args);
  const withoutLease = { readPoint: () => undefined, notLeading: () => undefined };
  return {
    ...partition,
    group: { ...group, propose, timeMs, readBarrier, ...withoutLease, ...as },
  };
}

/** A registry with one alias that its agent has left. */
async function abandoned(): Promise<RegistryHarness> {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "a1.example" }));
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "b1.example", sequence: 2 }));
  return harness;
}

test("AliasJanitor works at a leader without a lease", async () => {
  const harness = await abandoned();
  const { janitor, scheduler } = await janitorOf(
    harness,
    (partition) => seen(partition, { isLeading: true }),
  );
  await scheduler.advance(ROUND_MS);
  await harness.world.settle();
  assert.is(harness.alias("a1.example"), undefined, "repaired");
  janitor.stop();
});

/** A janitor of partitions that this node leads while `isLeading` says so. */
async function janitorOfLed(harness: RegistryHarness, isLeading: () => boolean) {
  const { janitor, scheduler } = await janitorOf(harness, (partition) => {
    const view = seen(partition, {});
    Object.defineProperty(view.group, "isLeading", { get: isLeading });
    return view;
  });
  return { harness, janitor, scheduler };
}

/** Checks that the alias is left to another node, and repaired once this one leads. */
async function repairsWhenItLeads(
  { harness, janitor, scheduler }: Awaited<ReturnType<typeof janitorOfLed>>,
  lead: () => void,
): Promise<void> {
  await scheduler.advance(2 * ROUND_MS);
  await harness.world.settle();
  assert.ok(harness.alias("a1.example") !== undefined, "another node repairs it");
  lead();
  await scheduler.advance(ALIAS_LED_CHECK_MS + 2 * ROUND_MS);
  await harness.world.settle();
  assert.is(harness.alias("a1.example"), undefined, "repaired");
  janitor.stop();
}

test("AliasJanitor leaves partitions to their leaders, and begins when it leads one", async () => {
  const harness = await abandoned();
  let isLeading = false;
  const led = await janitorOfLed(harness, () => isLeading);
  await repairsWhenItLeads(led, () => isLeading = true);
});

test("AliasJanitor begins where it leads again what another node led meanwhile", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "a1.example" }));
  let isLeading = true;
  const led = await janitorOfLed(harness, () => isLeading);
  await led.scheduler.advance(2 * ROUND_MS);
  isLeading = false;
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "b1.example", sequence: 2 }));
  led.janitor.onEvent();
  await repairsWhenItLeads(led, () => isLeading = true);
});

test("AliasJanitor begins where a replica that came later leads", async () => {
  const harness = await abandoned();
  const { janitor, scheduler, table } = await janitorOf(
    harness,
    ({ id }) => ({ isHere: false, id, nodes: [], leader: 0 }),
  );
  await scheduler.advance(ROUND_MS);
  for (const partition of harness.registry.table.here()) table.put(partition);
  await scheduler.advance(ALIAS_LED_CHECK_MS + 2 * ROUND_MS);
  await harness.world.settle();
  assert.is(harness.alias("a1.example"), undefined, "repaired");
  janitor.stop();
});

test.run();
