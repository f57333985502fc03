/** `crs cluster rebalance`, as far as it depends on no cluster. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { PauseMovesRequest } from "../../../../schemas/gen/wire.ts";
import { runCrs } from "../../../support/run_crs.ts";

const STILL = { chosenLeaders: 2, changing: 0, moves: [] };

/** Runs the command against a node that answers like one whose moves are paused as was asked. */
async function rebalanced(...flags: string[]) {
  const calls: string[] = [];
  let arePaused = false;
  const call = (name: string, request: unknown) => {
    calls.push(name);
    if (name === "clusterStatus") return Promise.resolve({ members: [] });
    if (name === "pauseMoves") ({ arePaused } = request as PauseMovesRequest);
    return Promise.resolve({ ...STILL, arePaused });
  };
  const ran = await runCrs(["cluster rebalance", ...flags].join(" "), { answers: { call } });
  return { ...ran, calls: calls.filter((name) => name !== "clusterStatus") };
}

test("crs cluster rebalance --pause pauses moves, ends no choice of leaders, and says how to go on", async () => {
  const { calls, code, stdout } = await rebalanced("--pause");
  assert.is(code, 0);
  assert.equal(calls, ["pauseMoves"]);
  assert.match(stdout, "Moves are paused");
  assert.match(stdout, "crs cluster rebalance --resume");
  assert.not.match(stdout, "chosen by hand");
});

test("crs cluster rebalance --resume ends the pause", async () => {
  const { calls, stdout } = await rebalanced("--resume");
  assert.equal(calls, ["pauseMoves"]);
  assert.not.match(stdout, "paused");
  assert.match(stdout, "each is where it is wished");
});

test("crs cluster rebalance takes one of its flags", async () => {
  for (const flags of [["--pause", "--resume"], ["--dry-run", "--pause"]]) {
    const { calls, code, stderr } = await rebalanced(...flags);
    assert.is(code, 2);
    assert.equal(calls, []);
    assert.match(stderr, "Only one of --dry-run, --pause and --resume");
  }
});

test.run();
