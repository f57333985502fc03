/**
 * Liveness as used by a node's groups: state that is durable before its use, and the nodes that are
 * asked.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { type GroupId, groupId, nodeId, replicaId } from "../../../src/base/ids.ts";
import { BEAT_MS, STALL_MS, SUPPORT_MS } from "../../../src/base/limits.ts";
import type { Beat } from "../../../src/liveness/mod.ts";
import { NodeLiveness } from "../../../src/replication/node_liveness.ts";
import type { NodeState } from "../../../src/replication/recovery.ts";
import { EMPTY_CONFIGURATION } from "../../../src/raft/mod.ts";
import type { LogDone, LoggedHardState, SharedLog } from "../../../src/storage/shared_log.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

const [SELF, OTHER, THIRD] = [nodeId(1), nodeId(2), nodeId(3)] as const;
const FRESH: NodeState = { counter: 0, mayHaveSupported: false };
const PAIR = { ...EMPTY_CONFIGURATION, voters: [1, 2] };

/** A log that saves when the test says so. */
class HeldLog {
  readonly saved: string[] = [];
  readonly waiting: LogDone[] = [];
  refusal: RegistryError | undefined;
  oldestPendingMs = 0;
  poisoned = false;

  saveHardState(group: GroupId, { term, vote, commit }: LoggedHardState, done: LogDone) {
    if (this.refusal !== undefined) return this.refusal;
    this.saved.push(`${group}: ${term} ${vote} ${commit}`);
    this.waiting.push(done);
    return undefined;
  }

  stats() {
    return { oldestPendingMs: this.oldestPendingMs, poisoned: this.poisoned };
  }

  answer(error?: RegistryError): void {
    this.waiting.shift()!(error);
  }
}

/** A node for which the test plays the log and the other nodes. Replica r is on node r. */
class Harness {
  readonly world: SteppedWorld;
  readonly log = new HeldLog();
  readonly liveness: NodeLiveness;
  /** Replicas whose nodes are not known. */
  readonly unplaced = new Set<number>();

  constructor(nodeState = FRESH, world = new SteppedWorld()) {
    this.world = world;
    this.liveness = new NodeLiveness({
      nodeId: SELF,
      world: this.world,
      log: this.log as unknown as SharedLog,
      directory: {
        nodeOf: (replica) => this.unplaced.has(replica) ? undefined : nodeId(replica),
      },
      nodeState,
      areLeasesOn: true,
    });
  }

  /** Shares group `id` with the members of `configuration`. */
  share(id = 1, configuration = PAIR): void {
    this.liveness.addGroup(groupId(id), replicaId(1));
    this.liveness.configured(groupId(id), configuration);
  }

  beats(): { to: number; beat: Beat }[] {
    const beats: { to: number; beat: Beat }[] = [];
    this.liveness.takeBeats((to, beat) => void beats.push({ to, beat }));
    return beats;
  }
}

/** Returns two nodes that share a group, and exchange beats for `ms`. */
async function pair(): Promise<
  { one: Harness; two: NodeLiveness; exchange: (ms: number) => Promise<void> }
> {
  const one = new Harness();
  const log = new HeldLog();
  const two = new NodeLiveness({
    nodeId: OTHER,
    world: one.world,
    log: log as unknown as SharedLog,
    directory: { nodeOf: (replica) => nodeId(replica) },
    nodeState: FRESH,
    areLeasesOn: true,
  });
  one.share();
  two.addGroup(groupId(1), replicaId(2));
  two.configured(groupId(1), PAIR);
  one.log.answer();
  log.answer();
  const exchange = async (ms: number) => {
    for (let passedMs = 0; passedMs < ms; passedMs += 100) {
      one.liveness.tick();
      two.tick();
      for (const { beat } of one.beats()) two.receive(SELF, beat);
      two.takeBeats((_to, beat) => void one.liveness.receive(OTHER, beat));
      await one.world.pass(100);
    }
  };
  await exchange(1_000);
  return { one, two, exchange };
}

test("a node alone asks nothing of the disk, and says nothing", () => {
  const { beats, liveness, log } = bound(new Harness());
  liveness.addGroup(groupId(1), replicaId(1));
  liveness.configured(groupId(1), { ...EMPTY_CONFIGURATION, voters: [1] });
  for (let count = 0; count < 10; count++) liveness.tick();
  assert.equal(log.saved, []);
  assert.equal(beats(), []);
  assert.not(liveness.hasPeers);
  assert.is(liveness.run, 0);
  assert.is(liveness.poll(), undefined);
});

test("the run, and that support may be given, are durable before the first beat", () => {
  const harness = new Harness({ counter: 41, mayHaveSupported: false });
  const { beats, liveness, log } = bound(harness);
  harness.share();
  assert.equal(log.saved, ["65535: 42 1 0"]);
  assert.equal(beats(), []);
  assert.is(liveness.run, 0);
  liveness.tick();
  assert.is(log.saved.length, 1, "one save at a time");
  log.answer();
  assert.is(liveness.run, 42);
  const sent = beats();
  assert.equal(sent.map(({ to, beat }) => [to, beat.run]), [[2, 42]]);
});

test("a save that fails or is refused is tried again by ticks", () => {
  const error = new RegistryError("storage_unavailable", "no");
  const harness = new Harness();
  const { liveness, log } = bound(harness);
  log.refusal = error;
  harness.share();
  liveness.tick();
  assert.not(liveness.hasPeers);
  log.refusal = undefined;
  liveness.tick();
  log.answer(error);
  assert.not(liveness.hasPeers);
  liveness.tick();
  log.answer();
  assert.ok(liveness.hasPeers);
  assert.equal(log.saved, ["65535: 1 1 0", "65535: 1 1 0"]);
});

test("beats are sent only to nodes that share a group or have a session", async () => {
  const harness = new Harness();
  const { beats, liveness, log, world } = bound(harness);
  harness.share(1);
  harness.share(2, { ...EMPTY_CONFIGURATION, voters: [1, 2], learners: [3] });
  log.answer();
  assert.equal(beats().map(({ to }) => to), [2, 3]);
  assert.equal(beats(), [], "not before they are due");
  liveness.configured(groupId(2), PAIR);
  await world.pass(BEAT_MS);
  assert.equal(beats().map(({ to }) => to), [2]);
  liveness.removeGroup(groupId(1));
  await world.pass(BEAT_MS);
  assert.equal(beats().map(({ to }) => to), [2], "group 2 is shared yet");
  liveness.removeGroup(groupId(2));
  await world.pass(BEAT_MS);
  assert.equal(beats(), []);
  liveness.connected(THIRD);
  assert.equal(beats().map(({ to }) => to), [3]);
  liveness.disconnected(THIRD);
  await world.pass(BEAT_MS);
  assert.equal(beats(), []);
});

test("a session that ends takes nothing from a node with which groups are shared", async () => {
  const { one, exchange } = await pair();
  one.liveness.connected(OTHER);
  one.liveness.disconnected(OTHER);
  await exchange(SUPPORT_MS);
  assert.ok(one.liveness.isCountedOn(OTHER));
});

test("support: two nodes give it while they hear each other, and report its end", async () => {
  const { one, two, exchange } = await pair();
  assert.ok(one.liveness.isCountedOn(OTHER) && two.isCountedOn(SELF));
  assert.is(one.liveness.supportedEpoch(OTHER), 1);
  assert.equal(one.liveness.poll()?.returned, [OTHER]);
  assert.is(one.liveness.poll(), undefined, "told once");
  await one.world.pass(SUPPORT_MS);
  assert.not(one.liveness.isCountedOn(OTHER));
  const news = one.liveness.poll();
  assert.equal([news?.lost, news?.withdrawn], [[OTHER], [OTHER]]);
  await exchange(2_000);
  assert.not(one.liveness.isCountedOn(OTHER), "a higher epoch is durable first");
  assert.is(one.log.saved.at(-1), "65535: 2 1 0");
  one.log.answer();
  await exchange(1_000);
  assert.is(two.supportedEpoch(SELF), 2);
  assert.ok(one.liveness.isCountedOn(OTHER));
});

test("an epoch whose save failed is never used; the next one is higher", async () => {
  const { one, two, exchange } = await pair();
  await one.world.pass(SUPPORT_MS);
  await exchange(1_000);
  one.log.answer(new RegistryError("storage_unavailable", "no"));
  await exchange(500);
  assert.is(one.log.saved.at(-1), "65535: 3 1 0");
  one.log.answer();
  await exchange(1_000);
  assert.is(two.supportedEpoch(SELF), 3);
});

test("beats: none are sent while the disk is stuck or poisoned, and each change is reported", async () => {
  const { one } = await pair();
  const { beats, liveness, log, world } = bound(one);
  liveness.poll();
  await world.pass(BEAT_MS);
  log.oldestPendingMs = STALL_MS;
  liveness.tick();
  assert.is(liveness.poll(), undefined);
  assert.is(beats().length, 1, "slow is not stuck");
  await world.pass(BEAT_MS);
  log.oldestPendingMs = STALL_MS + 1;
  liveness.tick();
  assert.ok(liveness.poll() !== undefined);
  assert.equal(beats(), []);
  log.oldestPendingMs = 0;
  liveness.tick();
  assert.ok(liveness.poll() !== undefined);
  assert.is(beats().length, 1);
  await world.pass(BEAT_MS);
  log.poisoned = true;
  liveness.tick();
  assert.equal(beats(), []);
});

test("members whose nodes become known later are shared by the next tick, or the next session", () => {
  const harness = new Harness();
  const { liveness, log } = bound(harness);
  harness.unplaced.add(2).add(3);
  harness.share(1, { ...EMPTY_CONFIGURATION, voters: [1, 2], learners: [3] });
  liveness.tick();
  assert.equal([...liveness.sharing], []);
  harness.unplaced.delete(3);
  liveness.tick();
  assert.equal([...liveness.sharing], [THIRD]);
  log.answer();
  assert.ok(liveness.poll(), "groups wake");
  liveness.tick();
  assert.is(liveness.poll(), undefined);
  harness.unplaced.delete(2);
  liveness.connected(THIRD);
  assert.equal([...liveness.sharing].sort(), [OTHER, THIRD]);
  assert.ok(liveness.poll(), "groups wake");
  liveness.removeGroup(groupId(1));
  liveness.tick();
  assert.equal([...liveness.sharing], []);
});

test("a removed group's members are not looked up again", () => {
  const harness = new Harness();
  const { liveness } = bound(harness);
  harness.unplaced.add(2);
  harness.share();
  liveness.removeGroup(groupId(1));
  harness.unplaced.clear();
  liveness.tick();
  assert.equal([...liveness.sharing], []);
});

test("a run after one that may have given support votes for none until that support has ended", async () => {
  assert.ok(new Harness().liveness.mayVote());
  const { liveness, world } = new Harness({ counter: 3, mayHaveSupported: true });
  assert.not(liveness.mayVote());
  await world.pass(SUPPORT_MS);
  assert.not(liveness.mayVote(), "its clock may run fast");
  await world.pass(10);
  assert.ok(liveness.mayVote());
});

test("a beat of an unknown node is refused by a code, and so is one that cannot be", async () => {
  const { one } = await pair();
  const [sent] = one.beats().length > 0 ? one.beats() : [];
  assert.is(sent, undefined);
  await one.world.pass(BEAT_MS);
  const { beat } = one.beats()[0]!;
  assert.is(one.liveness.receive(THIRD, beat), "unknown_peer");
  assert.is(one.liveness.receive(OTHER, { ...beat, sequence: -1 }), "malformed");
});

/** The parts of a harness, with its method bound. */
function bound(harness: Harness) {
  const { liveness, log, world } = harness;
  return { liveness, log, world, beats: () => harness.beats() };
}

test.run();
