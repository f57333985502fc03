/** The simulated network: the effects of a link on frames, and the end of sessions. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CALM_NETWORK, type NetworkEnd, SimNetwork } from "../../../sim/network.ts";
import { SimWorld } from "../../../sim/world.ts";

class End implements NetworkEnd {
  isUp = true;
  readonly seen: string[] = [];

  receive(from: number, frame: Uint8Array): void {
    this.seen.push(`${from}: ${frame[0]}`);
  }

  receiveImage(from: number, header: Uint8Array, image: Uint8Array): void {
    this.seen.push(`${from}: image ${header[0]} of ${image.length}`);
  }

  connected(peer: number): void {
    this.seen.push(`+${peer}`);
  }

  lost(peer: number): void {
    this.seen.push(`-${peer}`);
  }
}

function pair() {
  const world = new SimWorld();
  const network = new SimNetwork(world, 7);
  const ends = [new End(), new End()] as const;
  network.join(1, ends[0]);
  network.join(2, ends[1]);
  const send = (count: number) => {
    for (let number = 0; number < count; number++) network.send(1, 2, new Uint8Array([number]));
  };
  return { world, network, ends, send };
}

const numbers = (end: End) => end.seen.map((line) => Number(line.split(" ")[1]));
const ascending = (list: readonly number[]) => [...list].sort((left, right) => left - right);

test("SimNetwork keeps the order of frames unless they may overtake", async () => {
  const calm = pair();
  calm.network.settings = { ...CALM_NETWORK, jitterMs: 50 };
  calm.send(100);
  await calm.world.run(10_000);
  assert.equal(numbers(calm.ends[1]), Array.from({ length: 100 }, (_, number) => number));

  const wild = pair();
  wild.network.settings = { ...CALM_NETWORK, jitterMs: 50, reorders: true };
  wild.send(100);
  await wild.world.run(10_000);
  const found = numbers(wild.ends[1]);
  assert.not.equal(found, ascending(found));
  assert.equal(ascending(found), Array.from({ length: 100 }, (_, number) => number));
});

test("SimNetwork loses and doubles parts of what is sent", async () => {
  const { world, network, ends, send } = pair();
  network.settings = { ...CALM_NETWORK, loss: 0.3, doubled: 0.2 };
  send(250);
  await world.run(10_000);
  const found = numbers(ends[1]);
  const distinct = new Set(found).size;
  assert.ok(distinct > 150 && distinct < 200, `${distinct} of 250 arrived`);
  assert.ok(found.length - distinct > 15, "Some came twice");
});

test("SimNetwork cuts one way alone, and sessions end after a while", async () => {
  const { world, network, ends, send } = pair();
  network.started(1);
  await world.run(1_000);
  network.cut(1, 2);
  send(3);
  network.send(2, 1, new Uint8Array([9]));
  await world.run(2_000);
  assert.equal([ends[0].seen, ends[1].seen], [["+2", "2: 9"], ["+1"]]);
  await world.run(5_000);
  network.heal(1, 2);
  send(1);
  await world.run(6_000);
  assert.equal(ends[0].seen, ["+2", "2: 9", "-2", "+2"]);
  assert.equal(ends[1].seen.sort(), ["+1", "+1", "-1", "1: 0"]);
});

test("SimNetwork holds what goes into a clogged link until it is healed", async () => {
  const { world, network, ends, send } = pair();
  network.clog(1, 2);
  send(3);
  await world.run(10_000);
  assert.equal(ends[1].seen, []);
  network.healAll();
  await world.run(10_100);
  assert.equal(ends[1].seen.filter((line) => line.includes(":")), ["1: 0", "1: 1", "1: 2"]);
});

test("SimNetwork says of an image that it arrived, and of a lost one that it did not", async () => {
  const { world, network, ends } = pair();
  const told: string[] = [];
  const image = new Uint8Array(1_000_000);
  const send = () =>
    network.sendImage(1, 2, { header: new Uint8Array([4]), image }, (delivered) => {
      told.push(`${delivered} at ${Math.floor(world.nowMs)}`);
    });
  send();
  await world.run(1_000);
  assert.equal(ends[1].seen, ["1: image 4 of 1000000"]);
  assert.equal(told, ["true at 10"]);
  ends[1].isUp = false;
  send();
  await world.run(10_000);
  assert.is(ends[1].seen.length, 1);
  assert.is(told.length, 2);
  assert.match(told[1]!, /^false/);
});

test("SimNetwork ends the sessions of a node that went down, and of one that stands still", async () => {
  const { world, network, ends } = pair();
  network.started(1);
  await world.run(1_000);
  ends[0].isUp = false;
  network.stopped(1);
  await world.run(10_000);
  assert.equal(ends[1].seen, ["+1", "-1"]);
  ends[0].isUp = true;
  network.started(1);
  await world.run(11_000);
  ends[0].isUp = false;
  network.stood(1);
  await world.run(13_000);
  assert.equal(ends[1].seen, ["+1", "-1", "+1"]);
  await world.run(20_000);
  assert.equal(ends[1].seen, ["+1", "-1", "+1", "-1"]);
});

test.run();
