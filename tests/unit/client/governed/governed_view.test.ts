/** Views of the governed log whose requests the test answers by hand. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import type { Invoker } from "../../../../src/client/invoker.ts";
import { GovernedCalls } from "../../../../src/client/governed/governed_client.ts";
import type { GovernedLogPage } from "../../../../src/client/governed/governed_types.ts";
import { LogView } from "../../../../src/client/governed/governed_view.ts";
import type { GovernedLog } from "../../../../src/governance/governed_log.ts";
import { GovernanceHarness } from "../../../support/governance.ts";
import { ManualWorld } from "../../../support/manual_world.ts";

/** A view of a registry, and its requests that were not answered yet. */
class ViewBench {
  readonly registry = new GovernanceHarness();
  readonly world = new ManualWorld();
  readonly heard: number[] = [];
  readonly view: LogView;
  readonly #asked: ((page: GovernedLogPage) => void)[] = [];

  constructor() {
    this.view = new LogView({
      calls: {
        log: () => new Promise((resolve) => void this.#asked.push(resolve)),
        checkpoint: () => Promise.reject(new RegistryError("not_found", "not asked for")),
      },
      world: {
        monotonic: this.world,
        scheduler: this.world,
        entropy: { unit: () => 0, fill: () => {} },
      },
      waitMs: 2_000,
      onClose: () => {},
    });
    this.view.follow(({ entry }) => void this.heard.push(entry.version));
  }

  /** Has the registry apply the next version of a descriptor. */
  decide(id: string): void {
    assert.is(this.registry.decide(this.registry.next({ id })), "ok");
  }

  /** Returns what the registry answers to a view that has `after`. */
  page(after: number): GovernedLogPage {
    const { genesis: { bytes: genesis }, plane: { log } } = this.registry;
    const entries = Array.from(
      { length: log.version - after },
      (_, at) => log.recordOf(after + 1 + at) as GovernedLogPage["entries"][number],
    );
    return { version: log.version, ageBoundMs: 0, genesis, entries };
  }

  /** Answers the oldest request. */
  async answer(page: GovernedLogPage): Promise<void> {
    this.#asked.shift()!(page);
    await new Promise((resolve) => setTimeout(resolve));
    this.world.pass(0);
  }

  /** Has the view read the first version, and wait for the next. */
  async begin(): Promise<void> {
    const begun = this.view.begin();
    await this.answer(this.page(0));
    await begun;
    this.world.pass(0);
  }
}

test("GovernedCalls closes a view that has not begun yet", async () => {
  const { registry, world } = new ViewBench();
  const { genesis: { bytes: genesis } } = registry;
  const page: GovernedLogPage = { version: 0, ageBoundMs: 0, genesis, entries: [] };
  const asked = Promise.withResolvers<GovernedLogPage>();
  const invoker = { invoke: () => asked.promise } as unknown as Invoker;
  const entropy = { unit: () => 0, fill: () => {} };
  const calls = new GovernedCalls(invoker, { monotonic: world, scheduler: world, entropy });
  const opening = calls.view();
  calls.close();
  asked.resolve(page);
  await opening;
  assert.is(world.timerCount, 0, "it does not follow");
});

const versionOf = (log: GovernedLog | undefined) => log?.version ?? 0;

test("a view that waits and is refreshed takes an entry that both answers have once", async () => {
  const bench = new ViewBench();
  const { view, heard } = bench;
  await bench.begin();
  bench.decide("svc@eu");
  const refreshed = view.refresh();
  await bench.answer(bench.page(0));
  bench.decide("svc@us");
  await bench.answer(bench.page(0));
  await refreshed;
  assert.is(view.fault, undefined);
  assert.is(versionOf(view.plane?.log), 2);
  assert.equal(heard, [1, 2]);
  view.close();
});

test("a view whose newest entry does not fit stays at fault, and tells no listener", async () => {
  const bench = new ViewBench();
  const { view, heard, world } = bench;
  await bench.begin();
  bench.decide("svc@eu");
  bench.decide("svc@us");
  const { entries, ...page } = bench.page(0);
  const version = 1;
  // The second entry, as if it were the first.
  await bench.answer({ ...page, version, entries: entries.slice(1) });
  assert.is(view.fault?.code, "corrupt");
  world.pass(5_000);
  await bench.answer({ ...page, version, entries: [] });
  assert.is(view.fault?.code, "corrupt");
  assert.ok(view.ageMs() >= 5_000, `age ${view.ageMs()}`);
  assert.equal(heard, []);
  view.close();
});

test.run();
