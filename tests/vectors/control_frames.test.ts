/**
 * The frozen control frames of protocol version 1 are read as they were then, so that a client of
 * that version learns by code and message why it is refused, in bytes that it can decode.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../src/base/assert.ts";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { errorCodeToWire } from "../../src/base/errors.ts";
import { type ControlMessage, isControlFrame, readControl } from "../../src/wire/control.ts";
import { controlFrame } from "../support/raw_peer.ts";
import { RegistryHarness } from "../support/registry_harness.ts";
import frozen from "./control_frames.json" with { type: "json" };

const FRAMES = frozen.frames.map(({ name, hex, message }) => ({
  name,
  bytes: defined(fromHex(hex), "The file holds hexadecimal"),
  message,
}));

/**
 * Returns the message with its bytes in hexadecimal, as in the file, and without the field that was
 * added since if it is empty, as it must be in frames of that time.
 */
function plain(message: ControlMessage | undefined): unknown {
  const text = JSON.stringify(message, (key, value) => {
    if (key === "zone" && value === "") return undefined;
    return value instanceof Uint8Array ? toHex(value) : value;
  });
  return JSON.parse(text);
}

test("readControl reads the frozen frames of version 1", () => {
  for (const { name, bytes, message } of FRAMES) {
    const view = new DataView(bytes.buffer);
    assert.ok(isControlFrame(view, 0), name);
    assert.equal(plain(readControl(view, bytes, 0, bytes.length)), message, name);
  }
});

test("a client of version 1 is refused by code, is told what to do, and can read it", async () => {
  const harness = await RegistryHarness.open();
  const old = await harness.unauthenticated();
  await harness.world.wait(old.control.write(FRAMES[0]!.bytes.slice()));
  const end = await harness.world.wait(old.session.closed);
  assert.is(end.code, "unsupported_version");
  const [first] = old.heard;
  assert.ok(first?.kind === "goodbye");
  assert.is(first.goodbye.code, errorCodeToWire("unsupported_version"));
  assert.match(
    first.goodbye.message,
    /speaks protocol versions 2 to 2: the client 1 to 1; upgrade/,
  );
  // The frame has the layout of version 1: with the frozen frame's values its bytes are equal.
  const goodbye = FRAMES.find(({ name }) => name === "goodbye")!;
  const same = controlFrame({
    kind: "goodbye",
    goodbye: { code: 0, message: "", retryAfterMs: 0 },
  });
  assert.is(toHex(same), toHex(goodbye.bytes));
});

test.run();
