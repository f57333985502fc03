/**
 * The short path of a leader without other members gives the same results as the path of messages.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import {
  type ConfChange,
  decodeConfChange,
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  EMPTY_HARD_STATE,
  type Entry,
  MemoryStorage,
  type Message,
  newMessage,
  RaftNode,
} from "../../../src/raft/mod.ts";

const LEARNER: ConfChange = {
  transition: "auto",
  changes: [{ kind: "add_learner", replica: 2 }],
  context: EMPTY_DATA,
};

/** A replica whose storage answers when the test says so, in order. */
class Replica {
  readonly node: RaftNode;
  readonly applied: number[] = [];
  readonly #storage = new MemoryStorage();
  /** Storage messages, and entries of the short path, that are not durable. */
  readonly #waiting: (Message | Entry)[] = [];

  constructor(voters: number[] = [1], uncommittedBytesMax = 1_000) {
    const configuration = { ...EMPTY_CONFIGURATION, voters };
    this.#storage.initialState = () => ({ hardState: EMPTY_HARD_STATE, configuration });
    this.node = RaftNode.start({
      id: 1,
      storage: this.#storage,
      entropy: new SeededEntropy(1),
      electionTicks: 10,
      heartbeatTicks: 1,
      asyncStorageWrites: true,
      uncommittedBytesMax,
    });
  }

  /** Returns a leader that has applied the first entry of its term. */
  static leading(voters?: number[]): Replica {
    const replica = new Replica(voters);
    replica.node.campaign();
    replica.settle();
    assert.is(replica.node.role, "leader");
    return replica;
  }

  /** Proposes by the short path; returns false if there is none. */
  append(data: Uint8Array): boolean {
    const entry = this.node.appendAlone(data);
    if (entry === undefined) return false;
    this.#waiting.push(entry);
    return true;
  }

  /** Hands out pending work; appends wait for {@link store}. */
  work(): void {
    while (this.node.hasReady()) {
      for (const message of this.node.ready().messages) {
        if (message.type === "storage_append") this.#waiting.push(message);
        else if (message.type === "storage_apply") this.#apply(message);
      }
    }
  }

  /** Completes the oldest write. */
  store(): boolean {
    const write = this.#waiting.shift();
    if (write === undefined) return false;
    if ("type" in write) {
      this.#storage.append(write.entries);
      for (const own of write.responses) if (own.to === 1) this.node.stepOwn(own);
    } else {
      this.#storage.append([write]);
      if (this.node.wroteAlone(write)) {
        this.applied.push(write.index);
        this.node.appliedAlone(write);
      }
    }
    return true;
  }

  settle(): void {
    do this.work(); while (this.store());
  }

  #apply({ entries, responses }: Message): void {
    for (const { index, kind, data } of entries) {
      if (kind !== "normal") this.node.applyConfChange(decodeConfChange(data), index);
      this.applied.push(index);
    }
    for (const response of responses) this.node.stepOwn(response);
  }
}

test("appendAlone: the entry is at the end of the log, and decided when it is durable, not before", () => {
  const replica = Replica.leading();
  assert.ok(replica.append(Uint8Array.of(7)));
  assert.not(replica.node.hasReady(), "it was handed out");
  assert.equal([replica.node.lastIndex, replica.node.committed], [2, 1]);
  replica.store();
  assert.equal([replica.node.committed, replica.node.applied], [2, 2]);
  assert.not(replica.node.hasReady(), "and nothing is left to be done");
  assert.equal(replica.applied, [1, 2]);
});

test("appendAlone: not for a follower, a leader of others, or while a Ready waits", () => {
  const follower = new Replica();
  assert.not(follower.append(Uint8Array.of(7)));
  const leader = Replica.leading();
  leader.node.propose(Uint8Array.of(1));
  assert.not(leader.append(Uint8Array.of(2)), "it would overtake");
  leader.work();
  assert.ok(leader.append(Uint8Array.of(2)));
  leader.settle();
  assert.equal(leader.applied, [1, 2, 3]);
  leader.node.proposeConfChange(LEARNER);
  leader.settle();
  assert.not(leader.append(Uint8Array.of(3)), "somebody is to be told");
});

test("appendAlone: too much that is not committed is left to propose, which says so", () => {
  const replica = Replica.leading();
  assert.ok(replica.append(new Uint8Array(900)));
  assert.not(replica.append(new Uint8Array(200)));
  assert.is(replica.node.propose(new Uint8Array(200)), "over_limit");
  replica.settle();
  assert.ok(replica.append(new Uint8Array(200)), "what is applied counts no more");
});

test("wroteAlone: an entry behind a change of the configuration is decided by the new one", () => {
  const replica = Replica.leading();
  const voter: ConfChange = { ...LEARNER, changes: [{ kind: "add_voter", replica: 2 }] };
  replica.node.proposeConfChange(voter);
  replica.work();
  assert.ok(replica.append(Uint8Array.of(7)));
  replica.store();
  replica.work();
  assert.equal(replica.node.configuration.voters, [1, 2]);
  replica.settle();
  assert.is(replica.node.committed, 2, "replica 2 has not acknowledged it");
  assert.equal(replica.applied, [1, 2]);
  const { term } = replica.node;
  const reply = { ...newMessage("append_reply", 1), from: 2, term, index: 3 };
  assert.is(replica.node.step(reply), "accepted");
  replica.settle();
  assert.equal(replica.applied, [1, 2, 3]);
});

test("wroteAlone: of an older term it decides nothing; a later answer vouches for it", () => {
  const replica = Replica.leading();
  assert.ok(replica.append(Uint8Array.of(7)));
  const { term } = replica.node;
  const vote = { ...newMessage("vote", 1), from: 9, term: term + 1, index: 0, logTerm: 0 };
  replica.node.step({ ...vote, transfer: true });
  assert.is(replica.node.term, term + 1);
  replica.work();
  replica.store();
  assert.equal([replica.node.committed, replica.applied.length], [1, 1]);
  replica.settle();
  replica.node.campaign();
  replica.settle();
  assert.equal(replica.applied, [1, 2, 3]);
});

test("wroteAlone: an entry that was not handed out cannot be durable", () => {
  const replica = Replica.leading();
  const { term, lastIndex } = replica.node;
  replica.node.propose(Uint8Array.of(1));
  const entry: Entry = { term, index: lastIndex + 1, kind: "normal", data: Uint8Array.of(1) };
  assert.throws(
    () => replica.node.wroteAlone(entry),
    (error: Error) => error instanceof InvariantError,
  );
});

test("sole voter: both ways of proposing, mixed, lead to the same log and state as one", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededEntropy(seed);
    const below = (bound: number) => Math.floor(random.unit() * bound);
    const [short, long] = [Replica.leading(), Replica.leading()];
    for (let step = 0; step < 40; step++) {
      const draw = below(10);
      const data = new Uint8Array(1 + below(300));
      if (draw < 4) {
        if (!short.append(data)) short.node.propose(data);
        long.node.propose(data);
      } else if (draw < 5) {
        assert.is(short.node.propose(data), long.node.propose(data));
      } else if (draw < 6 && step > 30) {
        short.node.proposeConfChange(LEARNER);
        long.node.proposeConfChange(LEARNER);
      } else if (draw < 8) {
        short.work();
        long.work();
      } else {
        short.settle();
        long.settle();
      }
    }
    short.settle();
    long.settle();
    assert.equal(short.node.status(), long.node.status(), `seed ${seed}`);
    assert.equal(short.applied, long.applied, `seed ${seed}`);
  }
});

test.run();
