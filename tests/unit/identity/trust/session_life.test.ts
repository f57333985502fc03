/** The life of a session's identity, with clocks that a test moves. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SESSION_LIFE_CHECK_MS } from "../../../../src/base/limits.ts";
import { NO_GRANTS } from "../../../../src/base/peer.ts";
import { SessionLife, type SessionLifeOptions } from "../../../../identity/trust/session_life.ts";
import { ManualTime } from "../../../support/manual_time.ts";

const HOUR_MS = 3_600_000;

function lifeOf(time: ManualTime, more: Partial<SessionLifeOptions> = {}): SessionLife {
  return new SessionLife({
    identity: {
      subject: "spiffe://registry.example/region/eu-1/proxy/aaaaaaaa-1111-4111-8111-111111111111",
      subjectId: new Uint8Array(16),
      role: "proxy",
      region: "eu-1",
      lineage: 1,
      grants: NO_GRANTS,
      leafHash: new Uint8Array(32),
      publicKey: new Uint8Array(32),
      notAfterMs: HOUR_MS,
    },
    pinned: true,
    expiresAtMs: HOUR_MS,
    sessionMsMax: 10 * HOUR_MS,
    wall: time,
    scheduler: time,
    ...more,
  });
}

test("SessionLife ends with its certificate, by the wall clock", () => {
  const time = new ManualTime(0);
  const { peer } = lifeOf(time);
  time.advance(HOUR_MS - 1);
  assert.not(peer.revoked.aborted);
  time.advance(1);
  assert.ok(peer.revoked.aborted);
});

test("SessionLife ends at once when the wall clock was set beyond its certificate's end", () => {
  const time = new ManualTime(0);
  const listeners = new Set<() => void>();
  const onClockStep = (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  const life = lifeOf(time, { onClockStep });
  const other = lifeOf(time, { onClockStep, sessionMsMax: HOUR_MS / 2 });
  time.jumpWall(HOUR_MS / 4);
  for (const listener of listeners) listener();
  assert.not(life.peer.revoked.aborted);
  time.jumpWall(HOUR_MS);
  for (const listener of listeners) listener();
  assert.ok(life.peer.revoked.aborted);
  assert.ok(other.peer.revoked.aborted);
  assert.is(listeners.size, 0, "who is over listens no more");
});

test("SessionLife notices a clock step within a minute without a notification", () => {
  const time = new ManualTime(0);
  const { peer } = lifeOf(time);
  time.advance(1);
  time.jumpWall(2 * HOUR_MS);
  time.advance(SESSION_LIFE_CHECK_MS);
  assert.ok(peer.revoked.aborted);
});

test.run();
