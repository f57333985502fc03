/** The heartbeats of all event streams by one timer. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HTTP_HEARTBEAT_MS, HTTP_HEARTBEAT_TICK_MS } from "../../../src/base/limits.ts";
import { Heartbeats } from "../../../src/http/heartbeats.ts";
import { ManualTime } from "../../support/manual_time.ts";

test("Heartbeats has each beat once an interval after it began, and no timer without any", () => {
  const time = new ManualTime(0);
  const heartbeats = new Heartbeats(time);
  const beats: string[] = [];
  const one = (name: string) => ({ beat: () => void beats.push(name) });
  const [a, b] = [one("a"), one("b")];
  const turnOfA = heartbeats.begin(a);
  time.advance(HTTP_HEARTBEAT_MS / 2);
  const turnOfB = heartbeats.begin(b);
  time.advance(HTTP_HEARTBEAT_MS / 2 - HTTP_HEARTBEAT_TICK_MS);
  assert.equal(beats, []);
  time.advance(HTTP_HEARTBEAT_TICK_MS);
  assert.equal(beats, ["a"]);
  time.advance(HTTP_HEARTBEAT_MS / 2);
  assert.equal(beats, ["a", "b"]);
  heartbeats.end(a, turnOfA);
  heartbeats.end(a, turnOfA);
  time.advance(HTTP_HEARTBEAT_MS);
  assert.equal(beats, ["a", "b", "b"]);
  heartbeats.end(b, turnOfB);
  assert.is(time.timerCount, 0);
  const again = { beat: () => heartbeats.end(again, turn) };
  const turn = heartbeats.begin(again);
  time.advance(2 * HTTP_HEARTBEAT_MS);
  assert.is(time.timerCount, 0);
});

test.run();
