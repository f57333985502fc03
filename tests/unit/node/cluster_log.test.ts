/** ClusterLog: every change once, and few lines for many changes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type LogFacts, type Logger, SILENT_LOGGER } from "../../../src/base/logger.ts";
import { ClusterLog } from "../../../src/node/cluster_log.ts";
import { ManualTime } from "../../support/manual_time.ts";

interface Line {
  readonly message: string;
  readonly facts: LogFacts;
}

/** A cluster of three nodes, and the lines about it. */
function watched() {
  const time = new ManualTime(0);
  const lines: Line[] = [];
  const note = (message: string, facts: LogFacts = {}) => void lines.push({ message, facts });
  const logger: Logger = { ...SILENT_LOGGER, info: note, warn: note };
  const state = {
    ring: 1,
    members: [1, 2, 3],
    won: 0,
    lost: 0,
    systemLeader: 0,
    leaderless: [] as number[],
    outOfReach: [] as number[],
  };
  const log = new ClusterLog({
    facts: {
      ringNumber: () => state.ring,
      members: () => state.members.map((nodeId) => ({ nodeId, zone: `zone-${nodeId}` })),
      changes: () => ({ won: state.won, lost: state.lost }),
      leading: () => state.won - state.lost,
      systemLeader: () => state.systemLeader,
      leaderless: () => state.leaderless,
      outOfReach: () => state.outOfReach,
    },
    logger,
    clock: time,
    scheduler: time,
  });
  log.start();
  const taken = () => lines.splice(0);
  return { time, log, state, taken };
}

test("ClusterLog names members that come and go, and none that were there at the start", () => {
  const { time, state, taken } = watched();
  time.advance(5_000);
  assert.equal(taken(), []);
  state.members = [1, 3, 4];
  state.ring++;
  time.advance(1_000);
  assert.equal(taken(), [
    {
      message: "A node joined the cluster",
      facts: { node: 4, zone: "zone-4", members: 3 },
    },
    { message: "A node left the cluster", facts: { node: 2, members: 3 } },
  ]);
  state.ring++;
  time.advance(5_000);
  assert.equal(taken(), [], "a change of placement is none of members");
});

test("ClusterLog sums the leaderships of an election, once it is over", () => {
  const { time, state, taken } = watched();
  state.outOfReach = [2];
  state.won = 100;
  time.advance(1_000);
  assert.equal(taken(), [], "it goes on");
  state.won = 341;
  state.systemLeader = 3;
  time.advance(1_000);
  assert.equal(taken(), [], "it goes on");
  time.advance(1_000);
  assert.equal(taken(), [{
    message: "Leaderships changed",
    facts: { leads: 341, won: 341, lost: 0, group0: 3, outOfReach: [2] },
  }]);
  time.advance(60_000);
  assert.equal(taken(), []);
});

test("ClusterLog writes a line in ten seconds at most while leaderships move all the time", () => {
  const { time, state, taken } = watched();
  for (let second = 0; second < 600; second++) {
    state.won++;
    // Settled in every other second.
    if (second % 2 === 0) time.advance(1_000);
    else time.advance(2_000);
  }
  const lines = taken();
  assert.ok(lines.length >= 10 && lines.length <= 90, `${lines.length} lines in 900 s`);
  time.advance(30_000);
  const won = [...lines, ...taken()].reduce((sum, { facts }) => sum + (facts.won as number), 0);
  assert.is(won, 600, "every change is in a line");
});

test("ClusterLog tells partitions that stay without a leader once, and that they have one again", () => {
  const { time, state, taken } = watched();
  state.leaderless = [1];
  time.advance(5_000);
  state.leaderless = [];
  time.advance(20_000);
  assert.equal(taken(), [], "an election is no news");
  state.leaderless = Array.from({ length: 20 }, (_, index) => index);
  state.outOfReach = [2, 3];
  time.advance(60_000);
  const [line, ...others] = taken();
  assert.equal(others, []);
  assert.equal(line?.facts, {
    count: 20,
    partitions: [0, 1, 2, 3, 4, 5, 6, 7],
    outOfReach: [2, 3],
  });
  state.leaderless = [];
  time.advance(60_000);
  const [again, ...more] = taken();
  assert.is(again?.message, "All partitions of this node have a leader again");
  assert.equal(more, []);
});

test("ClusterLog.stop ends its timer", () => {
  const { time, log } = watched();
  log.stop();
  assert.is(time.timerCount, 0);
});

test.run();
