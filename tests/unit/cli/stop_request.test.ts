/** A request to stop counts once, however often its signal arrives. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { StopRequest } from "../../../src/cli/stop_request.ts";
import { ExitError, FakeTerminal } from "../../support/fake_terminal.ts";

function request() {
  const terminal = new FakeTerminal();
  const clock = { nowMs: 1_000 };
  const told: string[] = [];
  const stop = new StopRequest(terminal, (signal) => told.push(signal), () => clock.nowMs);
  return { terminal, clock, told, stop };
}

test("StopRequest resolves at the first signal and tells of it once", async () => {
  const { terminal, told, stop } = request();
  assert.is(stop.isRequested, false);
  terminal.signal("SIGTERM");
  await stop.requested;
  assert.is(stop.isRequested, true);
  assert.equal(told, ["SIGTERM"]);
});

test("StopRequest takes echoes of one ^C for the same wish", () => {
  const { terminal, clock, told } = request();
  terminal.signal("SIGINT");
  clock.nowMs += 300;
  terminal.signal("SIGINT");
  assert.equal(told, ["SIGINT"]);
});

test("StopRequest ends the process at a second signal, with the shell's code for it", () => {
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    const { terminal, clock } = request();
    terminal.signal("SIGINT");
    clock.nowMs += 301;
    assert.throws(
      () => terminal.signal(signal),
      (error: unknown) => error instanceof ExitError && error.exitCode === code,
    );
  }
});

test("StopRequest gives signals back when it ends", () => {
  const { terminal, stop } = request();
  stop.end();
  assert.is(terminal.stops.size, 0);
});

test.run();
