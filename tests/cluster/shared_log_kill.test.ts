/**
 * A real process on a real disk, repeatedly killed with SIGKILL in the middle of its appends:
 * everything that it reported as acknowledged is there at the next start, in order.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DENO_RUN } from "../support/deno_run.ts";

const ROUNDS = 4;
const ACKNOWLEDGED_MIN = 300;

const worker = new URL("../support/log_worker.ts", import.meta.url);

/**
 * Runs the worker until it has acknowledged enough, and kills it; returns what it found and
 * acknowledged.
 */
async function liveAndDie(folder: string): Promise<{ found: number; acknowledged: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...DENO_RUN, worker.pathname, folder],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let found = -1;
  let acknowledged = 0;
  let rest = "";
  let killed = false;
  // Output that the pipe still holds after the kill was acknowledged too, and counts.
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [word, value] = line.split(" ");
      if (word === "found") found = Number(value);
      else acknowledged = Number(value);
    }
    if (killed || acknowledged - found < ACKNOWLEDGED_MIN) continue;
    killed = true;
    child.kill("SIGKILL");
  }
  await child.status;
  return { found, acknowledged };
}

test("shared log on files keeps all that was acknowledged through kill -9", async () => {
  const folder = Deno.makeTempDirSync();
  let acknowledged = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const life = await liveAndDie(folder);
    assert.ok(
      life.found >= acknowledged,
      `round ${round}: found ${life.found} entries of ${acknowledged} acknowledged`,
    );
    assert.ok(life.acknowledged >= life.found + ACKNOWLEDGED_MIN);
    acknowledged = life.acknowledged;
  }
  Deno.removeSync(folder, { recursive: true });
});

test.run();
