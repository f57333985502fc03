/** A node as its operator sees it from outside, while it starts and stops. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { REFUSAL_LINGER_MS, WALL_LOOK_MS } from "../../../src/base/limits.ts";
import { type Logger, SILENT_LOGGER } from "../../../src/base/logger.ts";
import type { Scheduler, World } from "../../../src/base/world.ts";
import { resolveConfig } from "../../../src/node/config.ts";
import { startNode } from "../../../src/node/node.ts";
import { processWorld } from "../../../src/node/process_world.ts";
import { trustOfDataFolder } from "../../../identity/trust/credentials.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { until } from "../../support/until.ts";

/** Returns the world of this process with goodbyes that linger until they are released. */
function lingeringWorld(): { world: World; letGo: () => void } {
  const world = processWorld();
  const held: (() => void)[] = [];
  let isReleased = false;
  const scheduler: Scheduler = {
    after: (ms, run) => {
      if (ms !== REFUSAL_LINGER_MS || isReleased) return world.scheduler.after(ms, run);
      held.push(run);
      return { cancel: () => {} };
    },
    nextTurn: (run) => world.scheduler.nextTurn(run),
  };
  const letGo = () => {
    isReleased = true;
    for (const run of held) run();
  };
  return { world: { ...world, scheduler }, letGo };
}

test("startNode: a node that stops is told of by /readyz until its sessions are gone", async () => {
  const folder = await Deno.makeTempDir();
  const { world, letGo } = lingeringWorld();
  try {
    const config = resolveConfig({
      flags: { data: folder, port: "0", opsPort: "0", partitions: "2" },
      environment: {},
    });
    const node = await startNode({ config, world, logger: SILENT_LOGGER });
    const ask = (path: string) => fetch(`http://127.0.0.1:${node.ops.port}${path}`);
    const ready = await ask("/readyz");
    await ready.text();
    assert.is(ready.status, 200);
    const dialer = new QuicDialer({ scheduler: processWorld().scheduler, onError: () => {} });
    const session = await dialer.dial(node.addresses[0]!, {
      trust: trustOfDataFolder(folder),
    });

    // The client may be connected before the node counts the session.
    await until("the node counts the session", async () => {
      return /^crs_sessions\{.*\} 1$/m.test(await (await ask("/metrics")).text());
    });
    const stopped = node.stop();
    const refused = await ask("/readyz");
    assert.is(refused.status, 503);
    const { reasons } = await refused.json() as { reasons: { reason: string }[] };
    assert.equal(reasons.map(({ reason }) => reason), ["draining"]);
    letGo();
    session.abort("done");
    await stopped;
    await dialer.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/**
 * Returns the world of this process with a wall clock that a test moves and the node checks
 * continuously.
 */
function movedWorld(): { world: World; move: (ms: number) => void } {
  const world = processWorld();
  let offsetMs = 0;
  const scheduler: Scheduler = {
    after: (ms, run) => world.scheduler.after(ms === WALL_LOOK_MS ? 10 : ms, run),
    nextTurn: (run) => world.scheduler.nextTurn(run),
  };
  const wall = { unixMs: () => world.wall.unixMs() + offsetMs };
  return { world: { ...world, scheduler, wall }, move: (ms) => void (offsetMs += ms) };
}

test("startNode: a step of the clock beyond its certificate's end renews it at once, or /readyz tells", async () => {
  const folder = await Deno.makeTempDir();
  const { world, move } = movedWorld();
  const config = resolveConfig({
    flags: { data: folder, port: "0", opsPort: "0", partitions: "2" },
    environment: {},
  });
  const node = await startNode({ config, world, logger: SILENT_LOGGER });
  try {
    const reasons = async () => {
      const { reasons = [] } = await (await fetch(`http://127.0.0.1:${node.ops.port}/readyz`))
        .json() as { reasons?: { reason: string }[] };
      return reasons.map(({ reason }) => reason).join(" ");
    };
    const pin = () => JSON.parse(Deno.readTextFileSync(`${folder}/node.json`)).currentPin;
    const first = pin();
    move(90 * 24 * 3_600_000);
    await until("another certificate", () => pin() !== first);
    assert.is(await reasons(), "");
    // If no certificate can be created, the node reports that it presents an invalid one.
    Deno.renameSync(`${folder}/identity`, `${folder}/moved`);
    Deno.writeTextFileSync(`${folder}/identity`, "");
    move(90 * 24 * 3_600_000);
    await until("the reason", async () => await reasons() === "certificate_invalid");
  } finally {
    await node.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

test("startNode warns where others reach the operator's port, and nowhere else", async () => {
  for (const [opsHost, warns] of [["0.0.0.0", true], ["localhost", false]] as const) {
    const folder = await Deno.makeTempDir();
    const warned: string[] = [];
    const logger: Logger = {
      ...SILENT_LOGGER,
      warn: (message) => void warned.push(message),
      child: () => logger,
    };
    const config = resolveConfig({
      flags: { data: folder, port: "0", opsPort: "0", opsHost, partitions: "2" },
      environment: {},
    });
    const node = await startNode({ config, world: processWorld(), logger });
    await node.stop();
    await Deno.remove(folder, { recursive: true });
    assert.is(warned.some((text) => text.includes("can read health and metrics")), warns, opsHost);
  }
});

test.run();
