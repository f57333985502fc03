/**
 * Images between replicas: created, sent, read concurrently with changes of the state, and
 * installed completely or not at all.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  PEER_IMAGES_AT_ONCE,
  PEER_IMAGES_BURST_MS,
  PEER_IMAGES_OUT_BYTES,
  REPLICA_LOG_BYTES,
} from "../../../src/base/limits.ts";
import { ManualTime } from "../../support/manual_time.ts";
import { OutgoingImages } from "../../../src/replication/outgoing_images.ts";
import type { GroupHost, HostedGroup } from "../../../src/replication/group_host.ts";
import { ImageTurns } from "../../../src/replication/image_turns.ts";
import { GroupImages } from "../../../src/replication/group_images.ts";
import type { Proposed } from "../../../src/replication/group_interface.ts";
import type { Message, Snapshot } from "../../../src/raft/mod.ts";
import { EMPTY_CONFIGURATION, EMPTY_DATA, newMessage } from "../../../src/raft/mod.ts";
import { encodePeerFrame } from "../../../src/wire/peer_frame.ts";
import {
  type ClusterNode,
  GroupCluster,
  idOfGroup,
  Journal,
  word,
} from "../../support/group_cluster.ts";

const encoder = new TextEncoder();
const CONFIGURATION = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };

/** Writes more than a leader keeps for members that do not answer. */
async function outgrow(node: ClusterNode, world: GroupCluster["world"], id = 1): Promise<void> {
  const text = "x".repeat(16 * 1024);
  for (let bytes = 0; bytes <= REPLICA_LOG_BYTES; bytes += text.length) {
    const proposed = await world.wait(node.propose(text, { id }));
    assert.ok(proposed.ok);
  }
}

/** Returns nodes with several groups, all of which the first node leads. */
async function ledByFirst(groups: number, delayMs: number): Promise<GroupCluster> {
  const cluster = new GroupCluster({ delayMs });
  for (const node of cluster.nodes) {
    await node.open();
    for (let id = 1; id <= groups; id++) await node.found([1, 2, 3], id);
    node.set.start();
  }
  const [first] = cluster.nodes;
  for (let id = 1; id <= groups; id++) first!.group(id).campaign();
  await cluster.world.pass(1_000);
  for (let id = 1; id <= groups; id++) assert.is(first!.group(id).status().role, "leader");
  return cluster;
}

/** Returns a follower that receives messages only from the test, and a snapshot message for it. */
async function alone(): Promise<
  { cluster: GroupCluster; follower: ClusterNode; from: ClusterNode }
> {
  const cluster = await GroupCluster.led();
  await cluster.world.pass(500);
  const from = await cluster.leader();
  const [follower] = cluster.followers(from);
  assert.ok((await cluster.world.wait(from.propose("a"))).ok);
  await cluster.world.pass(500);
  cluster.isolate(follower!);
  return { cluster, follower: follower!, from };
}

/** Sends `to` a snapshot that is `ahead` entries above its log. */
function sendSnapshot(
  from: ClusterNode,
  to: ClusterNode,
  { ahead, text, term = to.group().status().term, image }: {
    ahead: number;
    text: string;
    term?: number;
    image?: Uint8Array;
  },
): void {
  const index = to.group().raftStatus().committed + ahead;
  const snapshot: Snapshot = { index, term, configuration: CONFIGURATION, data: EMPTY_DATA };
  const message: Message = { ...newMessage("snapshot", to.id), from: from.id, term, snapshot };
  const messages = [{ groupId: idOfGroup(1), fortifies: false, message }];
  const header = encodePeerFrame({ run: 1, supports: 0, beat: undefined, messages });
  const bytes = image ?? encoder.encode(JSON.stringify({ timeMs: 0, applied: [text] }));
  to.set.receiveImage(from.id, header, bytes);
}

test("a member that lacks entries its leader compacted gets an image, and the entries above it", async () => {
  const cluster = await GroupCluster.led();
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  cluster.isolate(follower!);
  await cluster.world.pass(3_000);
  await outgrow(leader, cluster.world);
  cluster.heal();
  await cluster.world.pass(5_000);
  const images = cluster.sent.filter(({ image }) => image);
  assert.is(images.length, 1);
  assert.is(images[0]!.to, follower!.id);
  assert.ok((await cluster.world.wait(leader.propose("after"))).ok);
  await cluster.world.pass(1_000);
  assert.equal(follower!.journal().applied, leader.journal().applied);
  await follower!.restart();
  await cluster.world.pass(5_000);
  assert.equal(follower!.journal().applied, leader.journal().applied);
});

test("an image that takes many turns is of one index, while entries go on being applied", async () => {
  const cluster = await GroupCluster.led({ settings: { imageTurnBytes: 1 } });
  const { world } = cluster;
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  cluster.isolate(follower!);
  await world.pass(3_000);
  await outgrow(leader, world);
  const sent: { readonly index: number; readonly applied: number }[] = [];
  cluster.deliver = ({ image, messages }) => {
    const { index } = messages[0]?.message.snapshot ?? { index: 0 };
    if (image) sent.push({ index, applied: leader.group().status().appliedIndex });
    return true;
  };
  for (let number = 0; number < 200; number++) {
    assert.ok((await world.wait(leader.propose(`during ${number}`))).ok);
    await world.pass(5);
  }
  await world.pass(5_000);
  assert.is(sent.length, 1);
  assert.ok(sent[0]!.applied > sent[0]!.index, "entries were applied while it was made");
  assert.equal(follower!.journal().applied, leader.journal().applied);
  assert.is(leader.set.imageTurns.waiting, 0);
});

test("an image that is read in many turns changes nothing before, and may be cut by the end", async () => {
  const cluster = await GroupCluster.led({ settings: { imageTurnBytes: 1 } });
  await cluster.world.pass(500);
  const from = await cluster.leader();
  const [follower] = cluster.followers(from);
  assert.ok((await cluster.world.wait(from.propose("a"))).ok);
  await cluster.world.pass(500);
  cluster.isolate(follower!);
  sendSnapshot(from, follower!, { ahead: 10, text: "image" });
  assert.equal(follower!.journal().applied, ["a"]);
  sendSnapshot(from, follower!, { ahead: 10, text: "another" });
  await cluster.world.settle();
  assert.equal([...follower!.set.refusals], [["overloaded", 1]]);
  await cluster.world.pass(20);
  assert.equal(follower!.journal().applied, ["image"]);
  sendSnapshot(from, follower!, { ahead: 10, text: "cut" });
  follower!.group().close();
  await cluster.world.pass(20);
  assert.equal([...follower!.set.refusals], [["overloaded", 1], ["closed", 1]]);
  assert.equal(follower!.journal().applied, ["image"]);
});

test("an image that was lost is sent again", async () => {
  const cluster = await GroupCluster.led();
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  cluster.isolate(follower!);
  await cluster.world.pass(3_000);
  await outgrow(leader, cluster.world);
  let lost = 0;
  cluster.deliver = ({ image }) => !image || ++lost > 1;
  await cluster.world.pass(8_000);
  assert.is(lost, 2);
  assert.equal(follower!.journal().applied, leader.journal().applied);
});

test("a node has no more images on their way than it may, and all get there", async () => {
  const groups = PEER_IMAGES_AT_ONCE + 2;
  const cluster = await ledByFirst(groups, 20);
  const { world } = cluster;
  const [first, , third] = cluster.nodes;
  cluster.isolate(third!);
  await world.pass(3_000);
  for (let id = 1; id <= groups; id++) await outgrow(first!, world, id);
  const sentMs: number[] = [];
  cluster.deliver = ({ image }) => {
    if (image) sentMs.push(world.nowMs());
    return true;
  };
  await world.pass(10_000);
  for (let id = 1; id <= groups; id++) {
    assert.equal(third!.journal(id).applied, first!.journal(id).applied);
  }
  // Each is in transit for twice the delay.
  const atOnce = sentMs.map((atMs) => {
    return sentMs.filter((otherMs) => otherMs <= atMs && atMs < otherMs + 40).length;
  });
  const most = Math.max(...atOnce);
  assert.ok(most > 1 && most < PEER_IMAGES_AT_ONCE, `${most} at once: they are made in bursts`);
});

test("a leader that is closed gives the places of its images back", async () => {
  const groups = PEER_IMAGES_AT_ONCE + 1;
  const cluster = await ledByFirst(groups, 20);
  const { world } = cluster;
  const [first, , third] = cluster.nodes;
  cluster.isolate(third!);
  await world.pass(3_000);
  for (let id = 1; id <= groups; id++) await outgrow(first!, world, id);
  let sent = 0;
  cluster.deliver = ({ image }) => {
    if (image) sent++;
    return true;
  };
  await world.pass(2_000);
  assert.ok(sent >= PEER_IMAGES_AT_ONCE);
  for (let id = 1; id < groups; id++) first!.group(id).close();
  await world.pass(10_000);
  assert.equal(third!.journal(groups).applied, first!.journal(groups).applied);
});

test("an image that cannot be read is refused, and changes nothing", async () => {
  const { cluster, follower, from } = await alone();
  const before = follower.group().raftStatus();
  sendSnapshot(from, follower, { ahead: 10, text: "", image: encoder.encode("{") });
  await cluster.world.settle();
  assert.equal([...follower.set.refusals], [["corrupt", 1]]);
  assert.equal(follower.group().raftStatus(), before);
  assert.equal(follower.journal().applied, ["a"]);
  sendSnapshot(from, follower, { ahead: 10, text: "image" });
  await cluster.world.settle();
  assert.equal(follower.journal().applied, ["image"]);
});

test("an image that says nothing new is not even read", async () => {
  const { cluster, follower, from } = await alone();
  sendSnapshot(from, follower, { ahead: 0, text: "", image: encoder.encode("{") });
  await cluster.world.settle();
  assert.equal([...follower.set.refusals], []);
  assert.equal(follower.journal().applied, ["a"]);
});

test("image: a refused one does not replace the one that was accepted in the same turn", async () => {
  const { cluster, follower, from } = await alone();
  sendSnapshot(from, follower, { ahead: 10, text: "taken" });
  sendSnapshot(from, follower, { ahead: 10, text: "of an older term", term: 1 });
  await cluster.world.settle();
  assert.is(follower.group().status().role, "follower");
  assert.equal(follower.journal().applied, ["taken"]);
});

test("image: one that arrives while another is written is deferred", async () => {
  const { cluster, follower, from } = await alone();
  follower.disk.delayMs = () => 5;
  sendSnapshot(from, follower, { ahead: 10, text: "first" });
  await cluster.world.settle();
  sendSnapshot(from, follower, { ahead: 10, text: "second" });
  await cluster.world.settle();
  assert.is(follower.group().status().role, "follower");
  assert.equal([...follower.set.refusals], [["overloaded", 1]]);
  assert.equal(follower.journal().applied, ["a"], "nothing is the state before it is durable");
  const done = new Promise((settle) => follower.group().writeImage(settle));
  const refused = await cluster.world.wait(done) as { code: string };
  assert.is(refused.code, "overloaded", "an older one must not overtake it");
  await cluster.world.pass(100);
  assert.equal(follower.journal().applied, ["first"]);
  sendSnapshot(from, follower, { ahead: 10, text: "second" });
  await cluster.world.pass(100);
  assert.equal(follower.journal().applied, ["second"]);
});

test("proposals whose entries an image replaced are answered with an unknown outcome", async () => {
  const cluster = await GroupCluster.led();
  const { world } = cluster;
  await world.pass(500);
  const leader = await cluster.leader();
  cluster.isolate(leader);
  let answered: Proposed<string> | undefined;
  leader.propose("lost", { timeoutMs: 60_000 }).then((answer) => answered = answer);
  const next = () => cluster.followers(leader).find((node) => node.group().isLeading);
  while (next() === undefined) await world.pass(10);
  await outgrow(next()!, world);
  cluster.heal();
  await world.pass(5_000);
  assert.ok(cluster.sent.some(({ image, to }) => image && to === leader.id));
  assert.is(answered === undefined ? undefined : word(answered), "connection_lost");
});

/** Images of a group, with the test as its host. */
class Harness {
  readonly time = new ManualTime(0);
  readonly turns: ImageTurns;
  readonly slots: OutgoingImages;
  /** Results for pending sends, in order. */
  readonly sent: ((delivered: boolean) => void)[] = [];
  readonly images: GroupImages;
  failed = (error: unknown): void => {
    throw error;
  };

  constructor(turnBytes?: number, slots?: OutgoingImages) {
    this.slots = slots ?? new OutgoingImages(this.time);
    this.turns = new ImageTurns(this.time, this.time, turnBytes);
    const host: Partial<GroupHost> = {
      imageTurns: this.turns,
      outgoingImages: this.slots,
      sendSnapshot: (_group, _message, done) => void this.sent.push(done),
    };
    this.images = new GroupImages(host as GroupHost, {} as HostedGroup, (error) => {
      this.failed(error);
    });
  }

  /** Makes an image of a machine; undefined if there is none now. */
  make(machine: Journal = new Journal(), made = () => {}): Snapshot | undefined {
    return this.images.make(machine, { index: 7, term: 2, configuration: CONFIGURATION }, made);
  }

  /** Creates an image and sends it to `to`; returns the reported results. */
  send(to: number): boolean[] {
    const reports: boolean[] = [];
    assert.ok(this.make() !== undefined);
    const report = (delivered: boolean) => void reports.push(delivered);
    this.images.send({ ...newMessage("snapshot", to), from: 1 }, report);
    return reports;
  }
}

test("make: the bytes are the image's own, whatever the machine does with its chunks", () => {
  class Reuser extends Journal {
    override *writeImage(): Generator<Uint8Array, undefined, undefined> {
      const chunk = new Uint8Array(2);
      for (const value of [1, 2, 3]) yield chunk.fill(value);
    }
  }
  assert.equal(new Harness().make(new Reuser())?.data, Uint8Array.of(1, 1, 2, 2, 3, 3));
});

/** A machine whose image has several chunks, and which notes what becomes of it. */
class Slow extends Journal {
  isEnded = false;

  override *writeImage(): Generator<Uint8Array, undefined, undefined> {
    try {
      for (const value of [1, 2, 3]) yield Uint8Array.of(value);
    } finally {
      this.isEnded = true;
    }
  }
}

test("make: an image of many turns is handed out when it is made, and dropped if nobody asks", () => {
  const harness = new Harness(1);
  const machine = new Slow();
  const taken: (Snapshot | undefined)[] = [];
  const take = () => void taken.push(harness.make(machine));
  assert.is(harness.make(machine, take), undefined);
  assert.is(harness.make(machine, take), undefined, "it is being made");
  assert.is(harness.slots.count, 1);
  harness.time.advance(1_000);
  assert.equal(taken.map((snapshot) => snapshot?.data), [Uint8Array.of(1, 2, 3)]);
  assert.is(harness.slots.count, 1);
  assert.is(harness.make(machine, () => {}), undefined, "another one is made");
  assert.is(harness.slots.count, 2);
  harness.time.advance(1_000);
  assert.is(harness.slots.count, 1);
});

test("make: an image that cannot be made ends the group, which closes its images meanwhile", () => {
  const harness = new Harness(1);
  class Broken extends Journal {
    override *writeImage(): Generator<Uint8Array, undefined, undefined> {
      yield Uint8Array.of(1);
      throw new Error("broken");
    }
  }
  harness.failed = () => harness.images.close();
  assert.is(harness.make(new Broken()), undefined);
  harness.time.advance(1_000);
  assert.equal([harness.slots.count, harness.turns.waiting], [0, 0]);
});

test("close: an image that is being made is ended", () => {
  const harness = new Harness(1);
  const machine = new Slow();
  assert.is(harness.make(machine), undefined);
  harness.images.close();
  assert.equal([harness.slots.count, harness.turns.waiting, machine.isEnded], [0, 0, true]);
});

test("make: images that are being made count with what they are going to take", () => {
  class Large extends Slow {
    override get imageBytes(): number {
      return PEER_IMAGES_OUT_BYTES;
    }
  }
  const time = new ManualTime(0);
  const slots = new OutgoingImages(time);
  const [first, second] = [new Harness(1, slots), new Harness(undefined, slots)];
  assert.is(first.make(new Large()), undefined);
  assert.is(first.turns.waiting, 1, "it is being made");
  time.advance(PEER_IMAGES_BURST_MS);
  assert.is(second.make(), undefined);
  assert.equal([slots.count, second.turns.waiting], [1, 0]);
  first.images.close();
  assert.is(slots.count, 0);
  assert.ok(second.make() !== undefined, "nothing of the one that was not made is counted");
});

test("make: without a place there is none, and a place comes back with the answer", () => {
  const harness = new Harness();
  for (let count = 0; count < PEER_IMAGES_AT_ONCE; count++) harness.send(2);
  assert.is(harness.make(), undefined);
  harness.sent[0]!(true);
  assert.is(harness.slots.count, PEER_IMAGES_AT_ONCE - 1);
  harness.send(3);
  assert.is(harness.slots.count, PEER_IMAGES_AT_ONCE);
});

test("make: no further image while those in transfer are as large as they may be", () => {
  const harness = new Harness();
  harness.send(2);
  harness.slots.made(PEER_IMAGES_OUT_BYTES, 0);
  assert.is(harness.make(), undefined);
  harness.slots.release(PEER_IMAGES_OUT_BYTES);
  assert.is(harness.make(), undefined, "much was made just now");
  harness.time.advance(PEER_IMAGES_BURST_MS);
  assert.ok(harness.make() !== undefined);
});

test("send: the outcome of an earlier image to the same member is ignored", () => {
  const harness = new Harness();
  const [earlier, other, newest] = [harness.send(2), harness.send(3), harness.send(2)];
  harness.sent[0]!(false);
  harness.sent[1]!(true);
  assert.equal([earlier, other, newest], [[], [true], []]);
  harness.sent[2]!(true);
  assert.equal(newest, [true]);
});

test("close: slots are freed at once and only once, and data that was read is discarded", () => {
  const harness = new Harness();
  const { images } = harness;
  harness.send(2);
  harness.send(3);
  let discarded = 0;
  const machine = new Journal();
  // deno-lint-ignore require-yield
  machine.readImage = function* () {
    return { install: () => undefined, discard: () => void discarded++ };
  };
  const snapshot = { index: 9, term: 1, configuration: CONFIGURATION, data: EMPTY_DATA };
  images.read(snapshot, machine, (error) => assert.is(error, undefined));
  images.beginInstall(snapshot);
  images.close();
  assert.equal([harness.slots.count, discarded], [0, 1]);
  harness.sent[0]!(true);
  assert.is(harness.slots.count, 0);
});

test.run();
