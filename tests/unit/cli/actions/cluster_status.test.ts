/** `crs cluster status` over nodes in memory, whose answers change from look to look. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ClusterStatusReply, MemberStatus } from "../../../../schemas/gen/wire.ts";
import type { MonotonicClock, Scheduler } from "../../../../src/base/world.ts";
import { clusterStatus } from "../../../../src/cli/actions/cluster_status.ts";
import { EXIT_CODES } from "../../../../src/cli/exit_codes.ts";
import type { Shell } from "../../../../src/cli/shell.ts";
import { FakeClient } from "../../../support/fake_client.ts";
import { FakeTerminal } from "../../../support/fake_terminal.ts";

const PARTITIONS = 9;
const NODES = [1, 2, 3];

/** Time that passes only while somebody waits for it. */
class WaitedTime implements MonotonicClock, Scheduler {
  #nowMs = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void) {
    this.#nowMs += delayMs;
    this.nextTurn(run);
    return { cancel: () => {} };
  }

  nextTurn(run: () => void): void {
    queueMicrotask(run);
  }
}

function member(nodeId: number): MemberStatus {
  return {
    nodeId,
    zone: `zone-${nodeId}`,
    host: "127.0.0.1",
    addresses: [{ transport: "quic", host: "127.0.0.1", port: 4_450 + nodeId }],
    currentPin: new Uint8Array(0),
    nextPin: new Uint8Array(0),
    isConnected: true,
    departure: 0,
    roundTripUs: 500,
    laggingCount: 0,
    lagEntriesMax: 0,
  };
}

function reply(nodeId: number, leading: number): ClusterStatusReply {
  return {
    nodeId,
    partitionCount: PARTITIONS,
    clusterId: new Uint8Array(16).fill(7),
    generation: 1,
    ring: 1,
    systemLeader: 1,
    systemTerm: 1,
    systemApplied: 1,
    systemVoters: NODES,
    systemLearners: [],
    replicas: PARTITIONS,
    leading,
    leaderlessCount: 0,
    leaderless: [],
    underReplicatedCount: 0,
    underReplicated: [],
    moving: 0,
    areMovesPaused: false,
    members: NODES.map(member),
    version: "0.1.0",
    region: "global",
  };
}

/**
 * Runs the command.
 *
 * @param leading the partitions that each node leads at each look; the last look repeats.
 */
async function run(leading: readonly (readonly number[])[], environment = {}) {
  const terminal = new FakeTerminal({ environment });
  const time = new WaitedTime();
  let looks = 0;
  const clientOf = (nodeId: number) =>
    new FakeClient({
      call: () => {
        const look = leading[Math.min(looks, leading.length) - 1]!;
        return Promise.resolve(reply(nodeId, look[nodeId - 1]!));
      },
    }).client;
  const shell: Shell = {
    terminal,
    connect: ({ server }) => {
      // Only the node that tells who the others are is asked without an address of its own.
      if (server === undefined) looks++;
      const nodeId = server === undefined ? 1 : Number(server.at(-1));
      return Promise.resolve({
        client: clientOf(nodeId),
        endpoints: [],
        timeoutMs: 1_000,
        region: "global",
        close: () => Promise.resolve(),
      });
    },
  };
  const code = await clusterStatus({}, shell, { monotonic: time, scheduler: time });
  return { code, looks, waitedMs: time.nowMs(), stdout: terminal.stdout };
}

test("clusterStatus shows a cluster whose partitions are all led at once", async () => {
  const { code, looks, waitedMs, stdout } = await run([[3, 3, 3]]);
  assert.equal([code, looks, waitedMs], [EXIT_CODES.success, 1, 0]);
  assert.match(stdout, "9, all led and fully replicated");
});

test("clusterStatus fits its table to the width that COLUMNS names", async () => {
  const whole = await run([[3, 3, 3]]);
  assert.match(whole.stdout, /node +zone +address/);
  const { stdout } = await run([[3, 3, 3]], { COLUMNS: "30" });
  assert.match(stdout, "  leads     3\n");
});

test("clusterStatus looks again when a leadership moved between the answers", async () => {
  const { code, looks, stdout } = await run([[3, 3, 2], [3, 3, 2], [4, 3, 2]]);
  assert.equal([code, looks], [EXIT_CODES.success, 3]);
  assert.match(stdout, "9, all led and fully replicated");
});

test("clusterStatus says within two seconds that a partition has no leader", async () => {
  const { code, waitedMs, stdout } = await run([[3, 3, 2]]);
  assert.is(code, EXIT_CODES.unavailable);
  assert.ok(waitedMs >= 1_000 && waitedMs <= 2_000, `${waitedMs}`);
  assert.match(stdout, "9, 1 without a leader");
});

test.run();
