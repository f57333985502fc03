/** The pause of moves in group 0: kept in images, audited when it changes, unknown to earlier programs. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AUDIT_ACTIONS, auditEntryCodec } from "../../../../schemas/gen/audit.ts";
import { encodePauseMoves } from "../../../../src/system/moves/move_codec.ts";
import { PAUSED_MOVES_APPLY_VERSION } from "../../../../src/system/versions/features.ts";
import { encodeRaiseApplyVersion } from "../../../../src/system/versions/version_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

function cluster(version = PAUSED_MOVES_APPLY_VERSION): SystemHarness {
  const harness = new SystemHarness({ partitionCount: 4 });
  harness.admit(1, 0, PAUSED_MOVES_APPLY_VERSION);
  assert.is(harness.apply(encodeRaiseApplyVersion(HEADER, version)), "ok");
  return harness;
}

const pause = (harness: SystemHarness, arePaused: boolean, detail = "an operator") =>
  harness.apply(encodePauseMoves(HEADER, { arePaused, detail }));

test("a pause of moves survives an image, and so does its end", () => {
  const harness = cluster();
  assert.not(harness.state.moves.arePaused);
  assert.ok(harness.state.moves.isEmpty, "earlier programs read the image");
  assert.is(pause(harness, true), "ok");
  harness.reload();
  assert.ok(harness.state.moves.arePaused);
  assert.not(harness.state.moves.isEmpty);
  assert.is(pause(harness, false), "ok");
  harness.reload();
  assert.not(harness.state.moves.arePaused);
});

test("only what changes is audited", () => {
  const harness = cluster();
  const from = harness.state.audit.log.count + 1;
  for (const arePaused of [false, true, true, false]) {
    assert.is(pause(harness, arePaused), "ok");
  }
  const audited = harness.state.audit.log.read(from, 10).map((bytes) => {
    const { action, subject, detail } = auditEntryCodec.decode(bytes);
    return [action, subject, detail];
  });
  assert.equal(
    audited,
    ["paused", "resumed"].map((subject) => {
      return [AUDIT_ACTIONS.pauseMoves, subject, "an operator"];
    }),
  );
});

test("a pause is refused before its apply version, and with a detail that is too long", () => {
  assert.is(pause(cluster(PAUSED_MOVES_APPLY_VERSION - 1), true), "invalid_argument");
  assert.is(pause(cluster(), true, "x".repeat(10_000)), "invalid_argument");
});

test.run();
