/**
 * Transport between real processes: sudden death, orderly exit, rotation with collection. The memory
 * of many sessions is measured by `deno task soak session_memory`.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { until, within } from "../../support/until.ts";
import { assertEcho, withServer } from "./echo_bench.ts";
import { DENO_RUN } from "../../support/deno_run.ts";

test("session: a server that is killed is noticed after the idle time, as lost", () =>
  withServer({ keepAliveMs: 200, idleMs: 600 }, async (bench) => {
    const session = await bench.dial();
    await assertEcho(session);
    await bench.server.kill();
    assert.is((await within("the end", session.closed)).by, "lost");
  }));

test("listener: a server that closes and exits at once is seen to close by its clients", () =>
  withServer({}, async (bench) => {
    const sessions = [await bench.dial(), await bench.dial()];
    for (const session of sessions) await assertEcho(session);
    assert.is(await within("the exit", bench.server.leave()), 0);
    for (const session of sessions) {
      const end = await within("the end", session.closed, 2_000);
      assert.equal([end.by, end.code], ["peer", "shutting_down"]);
    }
  }));

test("listener: goes on accepting after many rotations with the garbage collected", () =>
  withServer({}, async (bench) => {
    const old = await bench.dial();
    for (let count = 0; count < 30; count++) await bench.server.ask("rotate");
    await assertEcho(await bench.dial());
    await assertEcho(old);
  }));

test("session: a client that exits right after its goodbye is seen to leave by the server", () =>
  withServer({}, async (bench) => {
    const client = new Deno.Command(Deno.execPath(), {
      args: [
        ...DENO_RUN,
        new URL("./leaving_client.ts", import.meta.url).pathname,
        String(bench.server.port),
        [...bench.server.sha256].join(","),
      ],
    });
    assert.is((await within("the client", client.output(), 20_000)).code, 0);
    await until("it is gone", async () => {
      const stats = await bench.server.ask("stats");
      // The server may receive the end in the same packet as the end of the handshake.
      const { accepted, handshakeFailures, sessions, handshakes } = stats;
      return accepted + handshakeFailures === 1 && sessions + handshakes === 0;
    }, 2_000);
  }));

test.run();
