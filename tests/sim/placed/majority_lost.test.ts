/** Clusters that lose their majority without other faults; `placed/` has the same at the end of some seeds. */
import { test } from "uvu";
import { PlacedCluster } from "./cluster.ts";
import { loseMajority } from "./majority_lost.ts";
import { placedPlanOf } from "./plan.ts";

/** Time in which all machines join and replicas spread, ms. */
const GROWS_MS = 9_000;
/** Of 3 to 6 machines; survivors that lag and that do not, killed and without power. */
const SEEDS = [3, 4, 7, 8, 9, 10];

for (const seed of SEEDS) {
  test(`a cluster that loses its majority is recovered from one machine, seed ${seed}`, async () => {
    const calm = { faults: new Map(), relays: 0, owners: [], reshapesMs: undefined };
    const plan = { ...placedPlanOf(seed), ...calm, areWatched: false, silentAgents: 0 };
    const cluster = new PlacedCluster(plan, []);
    const { world, machines } = cluster;
    for (const machine of machines) world.at(machine.plan.joinsAtMs, () => machine.start());
    await world.run(GROWS_MS);
    cluster.endChecks();
    await loseMajority(cluster);
  });
}

test.run();
