/**
 * Whole groups under random schedules: messages are lost, duplicated and reordered, replicas crash
 * and restart from their durable state, leadership moves, members are added and removed, logs are
 * compacted. After every step the properties of the paper's Figure 3 hold between replicas; after
 * healing, the group converges. The simulator does the same with real storage and clocks.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../src/base/prng.ts";
import { APPEND_THREAD, APPLY_THREAD, type MemberChange } from "../../src/raft/mod.ts";
import { cases } from "../support/cases.ts";
import { RaftCluster } from "../support/raft_cluster.ts";

const SEEDS = cases(150);
const STEPS = 1_500;
const REPLICAS = [1, 2, 3, 4, 5];

/** Checks the properties that must hold between replicas at every moment. */
class Witness {
  /** The leader of each term. */
  readonly #leaders = new Map<number, number>();
  /** By index: the term and data of the entry that was applied there. */
  readonly #applied = new Map<number, string>();
  readonly #commits = new Map<number, number>();

  look(cluster: RaftCluster): void {
    for (const [id, { node, applied, isDown }] of cluster.replicas) {
      if (isDown) continue;
      const { role, term, committed, applied: appliedIndex } = node.status();
      assert.ok(appliedIndex <= committed);
      assert.ok(committed >= (this.#commits.get(id) ?? 0), "The commit index went back");
      this.#commits.set(id, committed);
      if (role === "leader") {
        const leader = this.#leaders.get(term) ?? id;
        assert.is(leader, id, `Election safety: term ${term} has two leaders`);
        this.#leaders.set(term, id);
      }
      for (const { index, term: entryTerm, data } of applied) {
        const value = `${entryTerm}:${new TextDecoder().decode(data)}`;
        const known = this.#applied.get(index) ?? value;
        assert.is(value, known, `State machine safety at index ${index}`);
        this.#applied.set(index, value);
      }
      applied.length = 0;
    }
    this.#matchLogs(cluster);
  }

  /** Forgets a commit index that was not durable, as a restart does. */
  forget(id: number): void {
    this.#commits.delete(id);
  }

  #matchLogs(cluster: RaftCluster): void {
    const storages = [...cluster.replicas.values()].map(({ storage }) => storage);
    for (const left of storages) {
      for (const right of storages) {
        if (left === right) continue;
        const lo = Math.max(left.firstIndex(), right.firstIndex());
        let isAlike = false;
        for (let index = Math.min(left.lastIndex(), right.lastIndex()); index >= lo; index--) {
          const same = left.term(index) === right.term(index);
          assert.ok(same || !isAlike, `Log matching at index ${index}`);
          isAlike = same;
        }
      }
    }
  }

  get appliedValues(): string[] {
    return [...this.#applied.values()];
  }
}

/** Runs a seed; returns the count of applied entries. */
function run(seed: number, isAsync: boolean): number {
  const chance = new SeededEntropy(seed);
  const below = (count: number) => Math.floor(chance.unit() * count);
  const options = {
    preVote: chance.unit() < 0.5,
    checkQuorum: chance.unit() < 0.5,
    inflightMessagesMax: 1 + below(8),
    appendBytesMax: 100,
    stepDownOnRemoval: true,
    asyncStorageWrites: isAsync,
  };
  const cluster = new RaftCluster({ voters: REPLICAS, seed, options });
  const witness = new Witness();
  const lossRate = chance.unit() < 0.5 ? 0 : chance.unit() * 0.3;
  const pick = () => REPLICAS[below(REPLICAS.length)]!;
  const changesOn = chance.unit() < 0.5;
  let proposed = 0;

  const deliverOne = () => {
    if (cluster.queue.length === 0) return;
    const at = chance.unit() < 0.7 ? 0 : below(cluster.queue.length);
    const [message] = cluster.queue.splice(at, 1);
    if (chance.unit() < lossRate) return;
    if (chance.unit() < 0.05) cluster.queue.push(message!);
    cluster.deliver(message!);
  };
  const change = (id: number) => {
    const kinds = ["add_voter", "add_learner", "remove"] as const;
    const changes: MemberChange[] = Array.from({ length: 1 + below(2) }, () => {
      return { kind: kinds[below(3)]!, replica: pick() };
    });
    const transition = (["auto", "joint_implicit", "joint_explicit"] as const)[below(3)]!;
    const leave = { transition: "auto", changes: [], context: new Uint8Array(0) } as const;
    const { node } = cluster.get(id);
    const isJoint = node.status().configuration.votersOutgoing.length > 0;
    node.proposeConfChange(isJoint ? leave : { ...leave, transition, changes });
  };

  cluster.elect(pick());
  for (let step = 0; step < STEPS; step++) {
    const id = pick();
    const replica = cluster.get(id);
    const dice = chance.unit();
    if (dice < 0.25) {
      cluster.work(id);
    } else if (dice < 0.35) {
      if (!isAsync) cluster.work(id);
      else if (chance.unit() < 0.6) cluster.workStorage(id, APPEND_THREAD);
      else cluster.workStorage(id, APPLY_THREAD);
    } else if (dice < 0.75) {
      for (let count = 0; count < 4; count++) deliverOne();
    } else if (dice < 0.87) {
      if (!replica.isDown) cluster.tick(id, 1 + below(4));
    } else if (dice < 0.94) {
      const text = new TextEncoder().encode(`v${proposed}`);
      if (!replica.isDown && replica.node.propose(text) === "accepted") proposed++;
    } else if (dice < 0.95) {
      if (!replica.isDown) replica.node.transferLeader(pick());
    } else if (dice < 0.96) {
      if (!replica.isDown && changesOn) change(id);
    } else if (dice < 0.97) {
      const { applied } = replica.node.status();
      if (!replica.isDown && applied > 1) {
        witness.look(cluster);
        cluster.compact(id);
      }
    } else if (dice < 0.975) {
      replica.isDown = true;
    } else if (replica.isDown) {
      witness.forget(id);
      cluster.restart(id);
    }
    witness.look(cluster);
  }

  // After healing: all replicas are up, nothing is lost, and some replica leads in the end.
  for (const [id, replica] of cluster.replicas) {
    if (!replica.isDown) continue;
    witness.forget(id);
    cluster.restart(id);
  }
  const leaderOf = () =>
    REPLICAS.find((id) => cluster.role(id) === "leader" && isMember(cluster, id));
  for (let round = 0; round < 400 && (leaderOf() === undefined || round < 60); round++) {
    for (const id of REPLICAS) cluster.tick(id, 1);
    cluster.settle();
    witness.look(cluster);
  }
  const leader = leaderOf();
  assert.ok(leader !== undefined, "A healed group has a leader");
  const beat = (count: number) => {
    for (let ticked = 0; ticked < count; ticked++) {
      cluster.tick(leader!, 1);
      cluster.settle();
    }
  };
  // A pending transfer is aborted, and lagging replicas catch up. The carrier of snapshots reports
  // the outcome of each, including the loss of lost ones.
  beat(15);
  for (const { id, state } of cluster.node(leader!).status().members) {
    if (state === "snapshot") cluster.node(leader!).reportSnapshot(id, "failed");
  }
  beat(3);
  cluster.propose(leader!, "last");
  beat(3);
  witness.look(cluster);
  assert.ok(witness.appliedValues.some((value) => value.endsWith(":last")), "It takes proposals");
  const { voters } = cluster.node(leader!).status().configuration;
  for (const id of voters) {
    assert.is(cluster.node(id).status().applied, cluster.node(leader!).status().applied, `${id}`);
  }
  return witness.appliedValues.length;
}

function isMember(cluster: RaftCluster, id: number): boolean {
  const { voters, votersOutgoing } = cluster.node(id).status().configuration;
  return voters.includes(id) || votersOutgoing.includes(id);
}

for (const isAsync of [false, true]) {
  const how = isAsync ? "writes that overlap and crashes that lose them" : "plain writes";
  test(`a group keeps its promises under random schedules with ${how}, and converges healed`, () => {
    let applied = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        applied += run(seed, isAsync);
      } catch (error) {
        throw new Error(`Seed ${seed} broke: ${error instanceof Error ? error.stack : error}`);
      }
    }
    const enough = SEEDS * (isAsync ? 4 : 10);
    assert.ok(applied > enough, `Only ${applied} entries were applied: the schedules are too idle`);
  });
}

test.run();
