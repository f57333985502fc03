/**
 * From the content of the log to the initial state of groups: entries that are applied or kept, and
 * corruption.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  firstTermOf,
  generationOfTerm,
  type GroupId,
  groupId,
  type LogIndex,
  replicaId,
  type Term,
} from "../../../src/base/ids.ts";
import { encodeOwner, NODE_STATE_GROUP, ownerRecordOf } from "../../../src/replication/log_ids.ts";
import { REPLICA_LOG_BYTES } from "../../../src/base/limits.ts";
import {
  encodeConfiguration,
  ENTRY_COMMAND,
  ENTRY_CONF_CHANGE,
  ENTRY_EMPTY,
  soleConfiguration,
} from "../../../src/replication/log_entry.ts";
import { type RecoveredGroup, Recovery } from "../../../src/replication/recovery.ts";
import {
  type ConfChange,
  type Configuration,
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  encodeConfChange,
  entryBytes,
} from "../../../src/raft/mod.ts";
import { Journal } from "../../support/group_cluster.ts";

const encoder = new TextEncoder();
const ID = groupId(1);
const THREE: Configuration = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };

/** A recovery with a given log content. */
class Harness {
  readonly recovery: Recovery<Journal>;

  constructor(replica = 1) {
    const events = { cut: () => {}, poisoned: () => {}, writable: () => {}, synced: () => {} };
    this.recovery = new Recovery(() => new Journal(), events, replica);
  }

  get group(): RecoveredGroup<Journal> {
    return this.recovery.take(ID);
  }

  state(term: number, vote: number, commit: number, group: GroupId = ID): this {
    const state = { term: term as Term, vote, commit: commit as LogIndex };
    this.recovery.handlers.hardState(group, state);
    return this;
  }

  image(index: number, term: number, configuration: Uint8Array, ...applied: string[]): this {
    const { handlers } = this.recovery;
    const point = { index: index as LogIndex, term: term as Term, configuration };
    handlers.imageStart(ID, point);
    const bytes = encoder.encode(JSON.stringify({ timeMs: 7, applied }));
    handlers.imageChunk(ID, bytes.subarray(0, 5));
    handlers.imageChunk(ID, bytes.subarray(5));
    handlers.imageEnd(ID);
    return this;
  }

  entry(index: number, term: number, text: string): this {
    const kind = text === "" ? ENTRY_EMPTY : ENTRY_COMMAND;
    return this.raw(index, term, kind, encoder.encode(text));
  }

  raw(index: number, term: number, kind: number, data: Uint8Array): this {
    this.recovery.handlers.entry(ID, index as LogIndex, term as Term, kind, data);
    return this;
  }

  change(index: number, term: number, change: ConfChange): this {
    return this.raw(index, term, ENTRY_CONF_CHANGE, encodeConfChange(change));
  }

  kept(): string[] {
    return this.group.log.entries.map(({ index, term, data }) => {
      return `${term}:${index} ${new TextDecoder().decode(data)}`;
    });
  }
}

function add(...replicas: number[]): ConfChange {
  const changes = replicas.map((replica) => ({ kind: "add_voter", replica }) as const);
  return { transition: "auto", changes, context: EMPTY_DATA };
}

function isCorrupt(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "corrupt";
}

test("recovery with several voters: entries known to be committed are applied, the others kept", () => {
  const harness = new Harness().state(4, 2, 12)
    .image(10, 3, encodeConfiguration(THREE), "a")
    .entry(11, 3, "b").entry(12, 4, "").entry(13, 4, "c").entry(14, 4, "d");
  const { group } = harness;
  assert.equal(group.machine.applied, ["a", "b"]);
  assert.equal([group.appliedIndex, group.appliedTerm], [12, 4]);
  const { log } = group;
  assert.equal(log.hardState, { term: 4, vote: 2, commit: 12 });
  assert.equal(log.configuration, THREE);
  assert.equal([log.index, log.term], [10, 3]);
  assert.equal(harness.kept(), ["3:11 b", "4:12 ", "4:13 c", "4:14 d"]);
});

test("a sole voter has committed everything in its log", () => {
  const harness = new Harness().state(4, 1, 0)
    .image(10, 3, encodeConfiguration(soleConfiguration(1)), "a")
    .entry(11, 4, "").entry(12, 4, "b");
  const { group } = harness;
  assert.equal(group.machine.applied, ["a", "b"]);
  assert.equal([group.appliedIndex, group.appliedTerm], [12, 4]);
  assert.equal(group.log.hardState, { term: 4, vote: 1, commit: 12 });
  assert.equal([group.log.index, group.log.term, group.log.entries.length], [12, 4, 0]);
});

test("recovery of a learner: it decides nothing, although its group has one voter", () => {
  const harness = new Harness(2).state(4, 0, 10)
    .image(10, 3, encodeConfiguration({ ...soleConfiguration(1), learners: [2] }), "a")
    .entry(11, 4, "b");
  assert.equal(harness.group.machine.applied, ["a"]);
  assert.equal(harness.kept(), ["4:11 b"]);
});

test("a folder of before configurations: a founder alone, from the first entry or from an image", () => {
  const fromEntries = new Harness().state(1, 1, 0).entry(1, 1, "").entry(2, 1, "a").group;
  assert.equal(fromEntries.machine.applied, ["a"]);
  assert.equal(fromEntries.log.configuration, soleConfiguration(1));
  const fromImage = new Harness().state(1, 1, 0).image(9, 1, new Uint8Array(0), "a")
    .entry(10, 1, "b").group;
  assert.equal(fromImage.machine.applied, ["a", "b"]);
  assert.equal(fromImage.log.configuration, soleConfiguration(1));
  assert.is(fromImage.log.hardState.commit, 10);
});

test("a replica that the log does not know begins with nothing", () => {
  const { log, appliedIndex, appliedTerm } = new Harness(2).group;
  assert.equal([appliedIndex, appliedTerm, log.index, log.term], [0, 0, 0, 0]);
  assert.equal(log.configuration, EMPTY_CONFIGURATION);
  assert.equal(log.hardState, { term: 0, vote: 0, commit: 0 });
});

test("an image above the commit index says more than it: the crash came in between", () => {
  const { log } = new Harness().state(3, 2, 4).image(10, 3, encodeConfiguration(THREE), "a").group;
  assert.equal(log.hardState, { term: 3, vote: 2, commit: 10 });
});

test("an image or an entry of a term above the hard state's implies no vote in that term", () => {
  const image = new Harness().state(3, 2, 4).image(10, 5, encodeConfiguration(THREE), "a").group;
  assert.equal(image.log.hardState, { term: 5, vote: 0, commit: 10 });
  const entry = new Harness().state(3, 2, 10).image(10, 3, encodeConfiguration(THREE), "a")
    .entry(11, 6, "b").group;
  assert.equal(entry.log.hardState, { term: 6, vote: 0, commit: 10 });
});

test("a commit index beyond the log is that of entries that were cut off: the log ends where it ends", () => {
  const harness = new Harness().state(3, 2, 20).image(10, 3, encodeConfiguration(THREE), "a")
    .entry(11, 3, "b");
  assert.is(harness.group.log.hardState.commit, 11);
  assert.equal(harness.group.machine.applied, ["a", "b"]);
});

test("committed configuration changes take effect at their index, uncommitted ones do not", () => {
  const harness = new Harness().state(3, 1, 12).image(10, 3, encodeConfiguration(THREE), "a")
    .change(11, 3, add(4)).entry(12, 3, "b").change(13, 3, add(5));
  assert.equal(harness.group.log.configuration.voters, [1, 2, 3, 4]);
  assert.is(harness.group.log.entries.length, 3);
  assert.is(harness.group.log.entries[2]!.kind, "conf_change");
});

test("recovery of a former sole voter: after its change of members it does not decide alone", () => {
  const harness = new Harness().state(2, 1, 0).entry(1, 1, "").entry(2, 1, "a")
    .change(3, 2, add(2)).entry(4, 2, "b");
  const { group } = harness;
  assert.equal(group.machine.applied, ["a"]);
  assert.equal(group.log.configuration.voters, [1, 2]);
  assert.equal([group.appliedIndex, group.log.index], [3, 3]);
  assert.equal(harness.kept(), ["2:4 b"]);
});

test("a committed configuration that cannot be, an unknown kind, a torn image are corrupt", () => {
  const removeAll: ConfChange = {
    transition: "auto",
    changes: [{ kind: "remove", replica: 1 }],
    context: EMPTY_DATA,
  };
  assert.throws(() => new Harness().entry(1, 1, "").change(2, 1, removeAll), isCorrupt);
  assert.throws(() => new Harness().raw(1, 1, 9, EMPTY_DATA), isCorrupt);
  assert.throws(() => new Harness().image(4, 1, Uint8Array.of(1, 2), "a"), isCorrupt);
});

test("applied entries are kept for others only within the memory limit", () => {
  const text = "x".repeat(10_000);
  const bytes = entryBytes({ index: 1, term: 1, kind: "normal", data: encoder.encode(text) });
  const count = 3 * Math.floor(REPLICA_LOG_BYTES / bytes);
  const harness = new Harness().state(3, 1, 10 + count).image(10, 3, encodeConfiguration(THREE));
  for (let at = 1; at <= count; at++) harness.entry(10 + at, 3 + at, text);
  const { log } = harness.group;
  const room = Math.floor(REPLICA_LOG_BYTES / bytes);
  assert.is(log.entries.length, room);
  assert.equal([log.index, log.term], [10 + count - room, 3 + count - room]);
  assert.is(log.entries[0]!.index, log.index + 1);
});

test("undecided entries are kept regardless of the memory limit, with their bytes", () => {
  const harness = new Harness().state(3, 1, 10).image(10, 3, encodeConfiguration(THREE));
  const data = new Uint8Array(REPLICA_LOG_BYTES).fill(7);
  for (const index of [11, 12, 13]) harness.raw(index, 3, ENTRY_COMMAND, data);
  data.fill(0);
  const { entries } = harness.group.log;
  assert.equal(entries.map(({ index }) => index), [11, 12, 13]);
  assert.ok(entries.every((entry) => entry.data[0] === 7));
});

test("the node's own state is no group", () => {
  const harness = new Harness().state(17, 1, 0, NODE_STATE_GROUP).state(1, 1, 0);
  assert.equal(harness.recovery.nodeState, { counter: 17, mayHaveSupported: true });
  assert.equal([...harness.recovery.groups.keys()], [ID]);
  harness.recovery.finish(1);
  assert.is(harness.recovery.take(ID).log.hardState.term, 1);
  assert.equal(new Harness().recovery.nodeState, { counter: 0, mayHaveSupported: false });
});

test("an owner record is no group; content belongs to the replica that it names", () => {
  for (const isFirst of [true, false]) {
    const harness = new Harness();
    const owner = encodeOwner(replicaId(2 ** 40));
    if (isFirst) harness.recovery.handlers.hardState(ownerRecordOf(ID), owner);
    harness.state(3, 0, 0);
    if (!isFirst) harness.recovery.handlers.hardState(ownerRecordOf(ID), owner);
    assert.equal([...harness.recovery.groups.keys()], [ID]);
    assert.is(harness.recovery.ownerOf(ID), 2 ** 40);
    assert.is(harness.recovery.ownerOf(groupId(2)), 1);
    // Replica 2^40 is one of several voters, so that nothing is applied without a commit index.
    const configuration = { ...EMPTY_CONFIGURATION, voters: [1, 3, 2 ** 40] };
    harness.image(10, 3, encodeConfiguration(configuration), "a").entry(11, 3, "b");
    assert.equal(harness.group.machine.applied, ["a"]);
  }
  const sole = new Harness();
  sole.recovery.handlers.hardState(ownerRecordOf(ID), encodeOwner(replicaId(7)));
  sole.image(10, 3, encodeConfiguration(soleConfiguration(7)), "a").entry(11, 3, "b");
  assert.equal(sole.group.machine.applied, ["a", "b"]);
  const nobody = { term: 0 as Term, vote: 0, commit: 0 as LogIndex };
  assert.throws(() => sole.recovery.handlers.hardState(ownerRecordOf(ID), nobody), isCorrupt);
});

test("raised generation: all groups and numbers begin at its terms, without a vote there", () => {
  const harness = new Harness().state(17, 1, 0, NODE_STATE_GROUP).state(3, 1, 0);
  harness.recovery.finish(2);
  const { term, vote } = harness.recovery.take(ID).log.hardState;
  assert.equal({ term, vote }, { term: firstTermOf(2), vote: 0 });
  const unknown = harness.recovery.take(groupId(ID + 1)).log.hardState;
  assert.is(unknown.term, firstTermOf(2));
  assert.is(harness.recovery.nodeState.counter, firstTermOf(2));
  assert.is(generationOfTerm(firstTermOf(2)), 2);
  assert.is(generationOfTerm(firstTermOf(2) - 1), 1);
});

test.run();
