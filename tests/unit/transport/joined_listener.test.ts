/** Several listeners as one: sessions of any of them, common counts, common end. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { joinListeners } from "../../../transport/joined_listener.ts";
import { MemoryNetwork } from "../../../transport/memory/network.ts";
import { VirtualScheduler } from "../../support/virtual_scheduler.ts";

const trust = { kind: "pins", sha256: [] } as const;

function setup() {
  const time = new VirtualScheduler();
  const network = new MemoryNetwork({
    monotonic: time,
    scheduler: time,
    entropy: new SeededEntropy(1),
  });
  const [left, right] = [
    network.listen({ host: "b", port: 7 }),
    network.listen({
      host: "c",
      port: 8,
    }),
  ];
  const dial = async (host: string, port: number) => {
    const dialing = network.dialer("a").dial({ host, port }, { trust });
    await time.advance(100);
    return await dialing;
  };
  return { time, left, right, dial, joined: joinListeners([left, right]) };
}

test("joinListeners accepts from each, whoever comes first", async () => {
  const { dial, joined } = setup();
  assert.equal(joined.addresses, [{ host: "b", port: 7 }, { host: "c", port: 8 }]);
  assert.is(joined.port, 7);
  for (const [host, port] of [["c", 8], ["b", 7], ["c", 8], ["c", 8]] as const) {
    const accepting = joined.accept();
    await dial(host, port);
    assert.ok(await accepting);
  }
  assert.is(joined.stats.accepted, 4);
  assert.is(joined.stats.sessions, 4);
});

test("joinListeners keeps what came while nobody waited, at most one of each listener", async () => {
  const { dial, joined } = setup();
  const first = joined.accept();
  await dial("b", 7);
  await first;
  await dial("c", 8);
  await dial("b", 7);
  await dial("b", 7);
  for (let count = 0; count < 3; count++) assert.ok(await joined.accept());
});

test("joinListeners ends with the last of them", async () => {
  const { left, right, time, dial, joined } = setup();
  await left.close();
  const accepting = joined.accept();
  await dial("c", 8);
  assert.ok(await accepting);
  const last = joined.accept();
  await time.advance(1);
  await right.close();
  assert.is(await last, undefined);
  assert.is(await joined.accept(), undefined);
  await joined.close();
});

test("joinListeners leaves one alone as it is", () => {
  const { left } = setup();
  assert.is(joinListeners([left]), left);
});

test.run();
