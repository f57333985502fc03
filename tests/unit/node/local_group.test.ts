/** A group of one replica over the real log: order, limits, failures, and what a restart finds. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { groupId, type GroupTimeMs, type LogIndex, type Term } from "../../../src/base/ids.ts";
import { GROUP_PROPOSALS_MAX, WAL_PROBE_MS } from "../../../src/base/limits.ts";
import type { Proposed } from "../../../src/node/group_interface.ts";
import { ENTRY_COMMAND, LocalGroup, type StateMachine } from "../../../src/node/local_group.ts";
import { MemoryDisk } from "../../../src/storage/memory_storage.ts";
import { openSharedLog } from "../../../src/storage/open_shared_log.ts";
import type { SharedLog } from "../../../src/storage/shared_log.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

/** A machine that writes down what it applied. */
class Journal implements StateMachine<string> {
  readonly applied: string[] = [];
  timeMs = 0 as GroupTimeMs;
  ledFromMs: number | undefined;

  apply(index: LogIndex, term: Term, command: Uint8Array): string {
    const text = new TextDecoder().decode(command);
    if (text === "broken") throw new InvariantError("broken");
    if (text.startsWith("time ")) this.timeMs = Number(text.slice(5)) as GroupTimeMs;
    this.applied.push(text);
    return `${text} at ${term}:${index}`;
  }

  onBecomeLeader(nowMs: GroupTimeMs): void {
    this.ledFromMs = nowMs;
  }

  *writeImage(): Iterable<Uint8Array> {
    yield new TextEncoder().encode(this.applied.join());
  }
}

/** One group on one disk. */
class GroupHarness {
  world = new SteppedWorld();
  readonly disk = new MemoryDisk();
  machine = new Journal();
  log: SharedLog | undefined;
  group: LocalGroup<string> | undefined;
  readonly failures: unknown[] = [];

  async open(lead = true): Promise<LocalGroup<string>> {
    this.machine = new Journal();
    const { machine, world } = this;
    let [appliedIndex, appliedTerm, lastTerm] = [0, 0, 0];
    this.log = undefined;
    openSharedLog({
      storage: this.disk.open(world),
      clock: world,
      scheduler: world,
      entropy: world.entropy,
      handlers: {
        hardState: (_id, { term }) => void (lastTerm = Math.max(lastTerm, term)),
        imageStart: () => {},
        imageChunk: () => {},
        imageEnd: () => {},
        entry: (_id, index, term, kind, data) => {
          if (kind === ENTRY_COMMAND) machine.apply(index, term, data);
          [appliedIndex, appliedTerm] = [index, term];
          lastTerm = Math.max(lastTerm, term);
        },
        ready: (log) => void (this.log = log),
        failed: (error) => {
          throw error;
        },
        poisoned: () => {},
      },
    });
    await world.settle();
    this.group = new LocalGroup<string>({
      id: groupId(3),
      machine,
      log: this.log!,
      clock: world,
      nodeId: 1,
      appliedIndex: appliedIndex as LogIndex,
      appliedTerm: appliedTerm as Term,
      lastTerm: lastTerm as Term,
      onFailure: (_id, error) => void this.failures.push(error),
    });
    if (lead) {
      this.group.start((error) => assert.is(error, undefined));
      await world.settle();
    }
    return this.group;
  }

  async crash(): Promise<LocalGroup<string>> {
    this.disk.crash();
    this.disk.intercept = () => undefined;
    this.world = new SteppedWorld();
    return await this.open();
  }

  propose(text: string, timeoutMs = 5_000): Promise<Proposed<string>> {
    return this.group!.propose(new TextEncoder().encode(text), timeoutMs);
  }

  /** Lets the log be full, from now until the returned call. */
  fill(): () => void {
    this.disk.intercept = ({ kind }) => kind === "write" ? "no_space" : undefined;
    return () => void (this.disk.intercept = () => undefined);
  }
}

/** What a proposal came to, in one word. */
function word(proposed: Proposed<string>): string {
  return proposed.ok ? proposed.outcome : proposed.error.code;
}

test("propose never settles in the calling turn, refused or not", async () => {
  const harness = new GroupHarness();
  const group = await harness.open(false);
  let settled = 0;
  const count = () => void settled++;
  void harness.propose("early").then(count);
  assert.is(settled, 0);
  await harness.world.settle();
  assert.is(settled, 1);
  group.start(() => {});
  await harness.world.settle();
  void harness.propose("a").then(count);
  await Promise.resolve();
  assert.is(settled, 1, "not before the log has it");
  assert.equal(harness.machine.applied, []);
  await harness.world.settle();
  assert.is(settled, 2);
});

test("proposals are applied and answered in order, with index and term", async () => {
  const harness = new GroupHarness();
  await harness.open();
  const answers: string[] = [];
  for (const text of ["a", "b", "c"]) {
    void harness.propose(text).then((proposed) => answers.push(word(proposed)));
  }
  await harness.world.settle();
  assert.equal(answers, ["a at 1:2", "b at 1:3", "c at 1:4"]);
});

test("each start is a new term whose first entry is empty, and nothing is read before it", async () => {
  const harness = new GroupHarness();
  await harness.open();
  const written = harness.propose("a");
  await harness.world.settle();
  assert.ok((await written).ok);
  harness.disk.crash();
  harness.world = new SteppedWorld();
  const group = await harness.open(false);
  assert.is(group.readPoint(0), undefined);
  assert.is(word(await harness.propose("early")), "not_leader");
  let permitted: unknown;
  void group.readBarrier(0, 1_000).then((point) => permitted = point);
  await harness.world.settle();
  assert.is(permitted, undefined);
  group.start(() => {});
  await harness.world.settle();
  assert.equal(permitted, { appliedIndex: 3, term: 2, ageBoundMs: 0 });
  assert.equal(group.status(), {
    id: 3,
    role: "leader",
    term: 2,
    appliedIndex: 3,
    lastIndex: 3,
    leader: 1,
  });
});

test("group time stands still until the group leads, then runs from the last command's", async () => {
  const harness = new GroupHarness();
  await harness.open();
  void harness.propose("time 5000");
  await harness.world.settle();
  harness.disk.crash();
  harness.world = new SteppedWorld();
  const group = await harness.open(false);
  await harness.world.pass(700);
  assert.is(group.timeMs(), 5_000);
  group.start(() => {});
  await harness.world.settle();
  assert.is(harness.machine.ledFromMs, 5_000);
  await harness.world.pass(300);
  assert.is(group.timeMs(), 5_300);
});

test("a group takes GROUP_PROPOSALS_MAX commands at once, and then is overloaded", async () => {
  const harness = new GroupHarness();
  const group = await harness.open();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const proposals = Array.from({ length: GROUP_PROPOSALS_MAX }, () => harness.propose("x"));
  const beyond = await harness.propose("y");
  assert.is(word(beyond), "overloaded");
  assert.ok(!beyond.ok && (beyond.error.fields.retryAfterMs ?? 0) > 0);
  assert.is(group.status().lastIndex, GROUP_PROPOSALS_MAX + 1, "nothing was logged for it");
  harness.disk.intercept = () => undefined;
  await harness.world.settle();
  harness.disk.releaseHeld();
  await harness.world.settle();
  for (const proposal of proposals) assert.ok((await proposal).ok);
  assert.ok((await harness.world.wait(harness.propose("z"))).ok);
});

test("a proposal whose time is up is answered deadline_exceeded, and applied all the same", async () => {
  const harness = new GroupHarness();
  const group = await harness.open();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const short = harness.propose("short", 100);
  const long = harness.propose("long", 1_000);
  await harness.world.pass(99);
  group.expireProposals(harness.world.nowMs());
  let answered = "";
  void short.then((proposed) => answered = word(proposed));
  await harness.world.settle();
  assert.is(answered, "");
  await harness.world.pass(1);
  group.expireProposals(harness.world.nowMs());
  await harness.world.settle();
  assert.is(answered, "deadline_exceeded");
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  await harness.world.settle();
  assert.equal(harness.machine.applied, ["short", "long"]);
  assert.is(word(await long), "long at 1:3");
});

test("what a full disk refused is not applied, and the group goes on at the same index", async () => {
  const harness = new GroupHarness();
  const group = await harness.open();
  const kept = harness.propose("kept");
  await harness.world.settle();
  const release = harness.fill();
  const failed = ["lost 1", "lost 2", "lost 3"].map((text) => harness.propose(text));
  // One proposes again in the very turn in which it hears of the failure.
  const again = failed[0]!.then(() => harness.propose("at once"));
  await harness.world.settle();
  for (const proposal of failed) assert.is(word(await proposal), "storage_unavailable");
  assert.is(word(await again), "storage_unavailable");
  assert.is(word(await kept), "kept at 1:2");
  assert.is(group.status().lastIndex, 2);
  assert.ok(group.readPoint(0) !== undefined, "reads go on");
  release();
  await harness.world.pass(WAL_PROBE_MS + 1);
  assert.is(word(await harness.world.wait(harness.propose("next"))), "next at 1:3");
  assert.equal(harness.machine.applied, ["kept", "next"]);
  await harness.crash();
  assert.equal(harness.machine.applied, ["kept", "next"]);
});

test("a proposal queued behind a batch that fails is answered after it, in order", async () => {
  const harness = new GroupHarness();
  await harness.open();
  const order: string[] = [];
  const note = (name: string) => (proposed: Proposed<string>) =>
    void order.push(`${name} ${proposed.ok ? "ok" : proposed.error.code}`);
  // The first batch waits for its sync; the second is written meanwhile and fails.
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  void harness.propose("a").then(note("a"));
  await harness.world.settle();
  const release = harness.fill();
  void harness.propose("b").then(note("b"));
  await harness.world.settle();
  void harness.propose("c").then(note("c"));
  await harness.world.settle();
  harness.disk.releaseHeld();
  await harness.world.settle();
  // What is refused at once may be told so before; what was taken is answered in its order.
  assert.equal(order.filter((line) => !line.startsWith("c")), ["a ok", "b storage_unavailable"]);
  assert.ok(order.includes("c storage_unavailable"));
  release();
  await harness.world.pass(WAL_PROBE_MS + 1);
  assert.is(word(await harness.world.wait(harness.propose("d"))), "d at 1:3");
});

test("a failed sync refuses all that is under way and all that comes, and reads go on", async () => {
  const harness = new GroupHarness();
  const group = await harness.open();
  const kept = harness.propose("kept");
  await harness.world.settle();
  assert.ok((await kept).ok);
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  const doomed = [harness.propose("doomed 1"), harness.propose("doomed 2")];
  await harness.world.settle();
  for (const proposal of doomed) assert.is(word(await proposal), "storage_unavailable");
  assert.is(word(await harness.propose("late")), "storage_unavailable");
  await harness.world.pass(60_000);
  assert.is(word(await harness.propose("much later")), "storage_unavailable");
  assert.ok(group.readPoint(0) !== undefined);
  assert.equal(harness.machine.applied, ["kept"]);
  await harness.crash();
  assert.is(harness.machine.applied[0], "kept", "nothing acknowledged is lost");
});

test("a broken invariant quarantines its group: it serves nothing, and its half state is no image", async () => {
  const harness = new GroupHarness();
  const group = await harness.open();
  const answers = ["a", "broken", "b"].map((text) => harness.propose(text));
  await harness.world.settle();
  assert.equal((await Promise.all(answers)).map(word), ["a at 1:2", "internal", "internal"]);
  assert.equal(harness.machine.applied, ["a"]);
  assert.is(harness.failures.length, 1);
  assert.is(group.readPoint(0), undefined);
  assert.is((await group.readBarrier(0, 100) as RegistryError).code, "internal");
  assert.is(word(await harness.propose("c")), "internal");
  let refused: RegistryError | undefined;
  group.writeImage((error) => refused = error);
  await harness.world.settle();
  assert.is(refused?.code, "internal");
  assert.is(harness.log!.imageIndex(groupId(3)), 0);
});

test("a closed group refuses with shutting_down", async () => {
  const harness = new GroupHarness();
  const group = await harness.open();
  group.close();
  assert.is(word(await harness.propose("a")), "shutting_down");
  assert.is((await group.readBarrier(0, 100) as RegistryError).code, "shutting_down");
  assert.is(group.readPoint(0), undefined);
});

test.run();
