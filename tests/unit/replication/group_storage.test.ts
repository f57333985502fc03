/** The writes of one group into the log: order, refusals, and state that is saved separately. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { GroupId } from "../../../src/base/ids.ts";
import { GROUP_COMMIT_SAVED_EVERY } from "../../../src/base/limits.ts";
import { GroupStorage } from "../../../src/replication/group_storage.ts";
import { ReplicaLog } from "../../../src/replication/replica_log.ts";
import {
  APPEND_THREAD,
  EMPTY_CONFIGURATION,
  EMPTY_HARD_STATE,
  type Entry,
  type Message,
  newMessage,
} from "../../../src/raft/mod.ts";
import type {
  ImagePoint,
  LogDone,
  LoggedHardState,
  SharedLog,
} from "../../../src/storage/shared_log.ts";

const FULL = new RegistryError("storage_unavailable", "No room");

/** A log that answers when the test says so. */
class HeldLog {
  readonly submitted: string[] = [];
  readonly waiting: LogDone[] = [];
  refusal: RegistryError | undefined;

  appendOne(_group: GroupId, index: number, _entry: unknown, done: LogDone) {
    return this.#take(`entry ${index}`, done);
  }

  saveHardState(_group: GroupId, { term, vote, commit }: LoggedHardState, done: LogDone) {
    return this.#take(`state ${term} ${vote} ${commit}`, done);
  }

  installImage(_group: GroupId, { index }: ImagePoint, _chunks: unknown, done: LogDone) {
    return this.#take(`image ${index}`, done);
  }

  #take(what: string, done: LogDone): RegistryError | undefined {
    if (this.refusal !== undefined) return this.refusal;
    this.submitted.push(what);
    this.waiting.push(done);
    return undefined;
  }

  answer(error?: RegistryError): void {
    this.waiting.shift()!(error);
  }
}

function entryAt(index: number): Entry {
  return { index, term: 1, kind: "normal", data: Uint8Array.of(index) };
}

class Harness {
  readonly log = new HeldLog();
  readonly stored: number[] = [];
  failures = 0;
  readonly storage: GroupStorage;

  constructor(isSole = false) {
    const configuration = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };
    const replicaLog = new ReplicaLog(
      { hardState: EMPTY_HARD_STATE, configuration, index: 0, term: 0, entries: [] },
      () => undefined,
    );
    this.storage = new GroupStorage(1 as GroupId, {
      log: this.log as unknown as SharedLog,
      replicaLog,
      owner: {
        isSole: () => isSole,
        installed: () => {},
        stored: ({ index }) => void this.stored.push(index),
        storedAlone: ({ index }) => void this.stored.push(index),
        failed: () => void this.failures++,
      },
    });
  }

  /** Hands over a storage message: an entry at `index`, and the hard state at that time. */
  order(index: number, state: Partial<Message> = {}): void {
    const entries = [entryAt(index)];
    const message = { ...newMessage("storage_append", APPEND_THREAD), index, entries };
    this.storage.order({ ...message, ...state });
  }

  /** Hands over an entry that the core appended itself. */
  append(index: number): void {
    this.storage.append(entryAt(index));
  }
}

test("orders are handed out when they are durable, in their order", () => {
  const harness = new Harness();
  const { log, stored } = harness;
  harness.order(1);
  harness.order(2);
  assert.equal(log.submitted, ["entry 1", "entry 2"]);
  assert.equal(stored, []);
  log.answer();
  assert.equal(stored, [1]);
  log.answer();
  assert.equal(stored, [1, 2]);
});

test("a write that the log refused is retried from there on, and nothing overtakes it", () => {
  const harness = new Harness();
  const { log, storage, stored } = harness;
  log.refusal = FULL;
  harness.order(1);
  harness.order(2);
  assert.is(storage.blocked, FULL);
  assert.is(harness.failures, 1);
  storage.retry();
  assert.is(harness.failures, 2, "refused again, to be tried again");
  log.refusal = undefined;
  storage.retry();
  assert.is(storage.blocked, undefined);
  assert.equal(log.submitted, ["entry 1", "entry 2"]);
  log.answer();
  log.answer();
  assert.equal(stored, [1, 2]);
});

test("a try that comes while something is with the log happens when that is answered", () => {
  const harness = new Harness();
  const { log, storage, stored } = harness;
  harness.order(1);
  log.refusal = FULL;
  harness.order(2);
  log.refusal = undefined;
  storage.retry();
  assert.equal(log.submitted, ["entry 1"], "order 1 may still fail, and 2 must not overtake it");
  log.answer();
  assert.is(storage.blocked, undefined);
  assert.equal(log.submitted, ["entry 1", "entry 2"]);
  log.answer();
  assert.equal(stored, [1, 2]);
});

test("failed writes are repeated, in their order", () => {
  const harness = new Harness();
  const { log, storage, stored } = harness;
  harness.order(1);
  harness.order(2);
  log.answer(FULL);
  storage.retry();
  assert.equal(log.submitted, ["entry 1", "entry 2"], "2 is with the log still");
  log.answer(FULL);
  assert.equal(stored, []);
  storage.retry();
  assert.equal(log.submitted, ["entry 1", "entry 2", "entry 1", "entry 2"]);
  log.answer();
  log.answer();
  assert.equal(stored, [1, 2]);
});

test("entries without an order keep their place among orders, and are tried again like them", () => {
  const harness = new Harness(true);
  const { log, storage, stored } = harness;
  harness.order(1);
  harness.append(2);
  harness.order(3);
  log.answer();
  log.answer(FULL);
  log.answer(FULL);
  assert.equal(stored, [1]);
  assert.is(storage.blocked, FULL);
  harness.append(4);
  storage.retry();
  assert.equal(log.submitted.slice(3), ["entry 2", "entry 3", "entry 4"]);
  for (let count = 0; count < 3; count++) log.answer();
  assert.equal(stored, [1, 2, 3, 4]);
});

test("a commit index alone asks nothing of the log, and waits for nothing", () => {
  const harness = new Harness();
  const { log, stored } = harness;
  harness.order(1, { term: 1, vote: 1, commit: 0 });
  harness.order(0, { term: 1, vote: 1, commit: 1, entries: [] });
  assert.is(log.submitted.length, 2);
  log.answer();
  log.answer();
  assert.equal(stored, [1], "nobody waits for it");
  const responses = [newMessage("append_reply", 2)];
  const commit = GROUP_COMMIT_SAVED_EVERY;
  harness.order(0, { term: 1, vote: 1, commit, entries: [], responses });
  harness.storage.release();
  assert.equal(stored, [1, 0], "but what it carries goes out");
  harness.order(2, { term: 0 });
  assert.is(log.submitted.at(-1), `state 1 1 ${commit}`, "it was not forgotten");
});

test("image: appends wait until it is durable, and it replaces the whole log", () => {
  const harness = new Harness();
  const { log, stored } = harness;
  const configuration = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };
  const snapshot = { index: 9, term: 1, configuration, data: new Uint8Array(0) };
  harness.order(1);
  harness.order(9, { entries: [], snapshot });
  harness.order(10);
  assert.equal(log.submitted, ["entry 1", "image 9"]);
  log.answer();
  log.answer(FULL);
  harness.storage.retry();
  assert.equal(log.submitted.slice(2), ["image 9"]);
  log.answer();
  assert.equal(log.submitted.slice(3), ["entry 10"]);
  log.answer();
  assert.equal(stored, [1, 9, 10]);
});

test("the commit index goes along with entries once it has moved far, and with nothing else", () => {
  const harness = new Harness();
  const { log } = harness;
  const far = GROUP_COMMIT_SAVED_EVERY;
  harness.order(1, { term: 1, vote: 1, commit: 0 });
  harness.order(0, { term: 1, vote: 1, commit: far - 1, entries: [] });
  harness.order(2, { term: 1, vote: 1, commit: far - 1 });
  assert.equal(log.submitted.splice(0), ["entry 1", "state 1 1 0", "entry 2"], "not far enough");
  harness.order(0, { term: 1, vote: 1, commit: far, entries: [] });
  assert.equal(log.submitted, [], "not without entries");
  harness.order(3, { term: 1, vote: 1, commit: far });
  harness.order(4, { term: 1, vote: 1, commit: far + 1 });
  assert.equal(log.submitted, ["entry 3", `state 1 1 ${far}`, "entry 4"]);
});

test("a replica that decides alone saves no commit index beside entries", () => {
  const harness = new Harness(true);
  harness.order(1, { term: 1, vote: 1, commit: 0 });
  harness.order(2, { term: 1, vote: 1, commit: GROUP_COMMIT_SAVED_EVERY });
  assert.equal(harness.log.submitted, ["entry 1", "state 1 1 0", "entry 2"]);
});

test("saveCommit saves the commit index on its own account, once, of a sole voter too", () => {
  const harness = new Harness(true);
  const { log, storage } = harness;
  harness.order(1, { term: 3, vote: 2, commit: 0 });
  storage.saveCommit(1);
  storage.saveCommit(1);
  assert.equal(log.submitted, ["entry 1", "state 3 2 0", "state 3 2 1"]);
});

test("close: nothing is passed on afterwards", () => {
  const harness = new Harness();
  harness.order(1);
  harness.storage.close();
  harness.log.answer();
  assert.equal(harness.stored, []);
});

test.run();
