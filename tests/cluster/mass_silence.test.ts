/**
 * Half of 10,000 agents fall silent at once, at one real node and at three: nobody is removed, all are
 * found and flagged, and one renewal brings each back. A leader that stands still loses none. The operator's
 * session is that of the README.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { OUTAGE_GRACE_MS_MAX } from "../../src/base/limits.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { startCrs } from "../support/crs_process.ts";
import { SilentFleet } from "../support/silent_fleet.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const COUNT = 10_000;
const HALF = COUNT / 2;
/** Those that do not come back: still too many to lose them before that is confirmed. */
const LOST = 2_000;
const TTL_MS = 10_000;
const STALE_MS_MAX = 45_000;
const PAUSE_MS = 5_000;
/** Nothing ends in the grace after an outage. */
const RELEASED_MS_MAX = OUTAGE_GRACE_MS_MAX + 5_000;

interface ExpiryShown {
  readonly regions: readonly {
    readonly region: string;
    readonly live: number;
    readonly stale: number;
    readonly holdLeftMs: number;
    readonly granted: number;
  }[];
  readonly nodes: readonly { readonly settings: { readonly isGuarding: boolean } | null }[];
}

async function expiry(data: string): Promise<ExpiryShown> {
  const { code, stdout, stderr } = await crsInProcess([
    "expiry",
    "status",
    "--data",
    data,
    "--json",
  ]);
  assert.is(code, 0, stderr);
  return JSON.parse(stdout) as ExpiryShown;
}

/** Lets real time pass: what is tested is that nothing happens meanwhile. */
function passes(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function must(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await crsInProcess(args);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** @param pause stops a leader for a while, in which the owners that are left go on. */
async function survives(data: string, pause?: () => Promise<void>): Promise<void> {
  await until(
    "all nodes guard expiry",
    async () => (await expiry(data)).nodes.every(({ settings }) => settings?.isGuarding === true),
  );
  const fleet = await SilentFleet.register(data, { count: COUNT, ttlMs: TTL_MS });
  try {
    assert.is(await fleet.renew(0, COUNT), COUNT);
    fleet.keepFrom(HALF);
    await until("all silent agents are stale", async () => {
      const { regions } = await expiry(data);
      return regions.find(({ region }) => region === "global")?.stale === HALF;
    }, STALE_MS_MAX);
    assert.equal(await fleet.counts(), { live: HALF, stale: HALF });
    assert.is((await fleet.agent(3)).isStale, true);
    assert.is((await fleet.agent(HALF + 3)).isStale, false);
    const [{ live, granted }] = (await expiry(data)).regions as [ExpiryShown["regions"][0]];
    assert.equal({ live, granted }, { live: COUNT, granted: 0 });

    assert.is(await fleet.renew(LOST, HALF), HALF - LOST);
    fleet.keepFrom(LOST);
    assert.equal(await fleet.counts(), { live: COUNT - LOST, stale: LOST });
    assert.is(fleet.failed, 0);
    if (pause !== undefined) {
      await pause();
      assert.equal(await fleet.counts(), { live: COUNT - LOST, stale: LOST });
    }

    assert.match(await must("expiry", "hold", "--for", "10m", "--data", data), /expires for 10 m/);
    assert.match(await must("expiry", "status", "--data", data), /held for (10 m|9 m)/);
    assert.match(await must("status", "--data", data), /stale records +\d+/);
    const undoneOfOne = ["expiry", "hold", "--undo", "--region", "global", "--data", data];
    assert.match(await must(...undoneOfOne), /all regions are held for another (10 m|9 m)/);
    await must("expiry", "hold", "--undo", "--data", data);
    assert.is(await must(...undoneOfOne), "The hold of region global has ended.\n");
    await must("expiry", "release", "--region", "global", "--data", data);
    await until("the released agents are gone", async () => {
      const { live, stale } = await fleet.counts();
      return stale === 0 && live === COUNT - LOST;
    }, RELEASED_MS_MAX);
  } finally {
    await fleet.end();
  }
}

test("half of the agents of one node silent at once", () =>
  inTemporaryFolder(async (folder) => {
    const data = `${folder}/data`;
    const node = await startCrs(data);
    try {
      await survives(data);
    } finally {
      node.process.kill("SIGTERM");
      await node.process.ended();
    }
  }));

test("half of the agents of three nodes silent at once", () =>
  ThreeNodes.run(async (nodes) => {
    await nodes.start();
    const leader = await nodes.spread();
    await survives(nodes.folder, async () => {
      nodes.signal(leader, "SIGSTOP");
      await passes(PAUSE_MS);
      nodes.signal(leader, "SIGCONT");
      // Longer than the leases that were renewed last before.
      await passes(TTL_MS);
    });
  }));

test.run();
