/** The stream preface: frozen bytes, and refusals. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../src/base/bytes.ts";
import { PREFACE_BYTES, prefaceOf, readPreface } from "../../../transport/preface.ts";
import type { StreamKind } from "../../../transport/transport.ts";
import { CAPNP, testWith } from "../../support/requirement.ts";

const KINDS: readonly StreamKind[] = ["control", "request", "peer", "bulk"];
const NO_HEADER = new Uint8Array(0);

test("prefaceOf gives the frozen bytes of each kind", () => {
  const frame = "0000000002000000" + "0000000001000000" + "53524341";
  assert.is(toHex(prefaceOf("control", NO_HEADER)), `${frame}01000100`);
  assert.is(toHex(prefaceOf("request", NO_HEADER)), `${frame}02000100`);
  assert.is(toHex(prefaceOf("peer", NO_HEADER)), `${frame}03000100`);
  assert.is(toHex(prefaceOf("bulk", NO_HEADER)), `${frame}04000100`);
});

testWith(CAPNP)("prefaceOf gives what capnp encodes from the schema", async (capnp) => {
  for (const [index, kind] of KINDS.entries()) {
    const child = new Deno.Command(capnp, {
      args: ["encode", "schemas/wire.capnp", "StreamPreface"],
      cwd: new URL("../../../", import.meta.url),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(
      new TextEncoder().encode(`(magic = 0x41435253, kind = ${index + 1}, version = 1)`),
    );
    await writer.close();
    const { stdout } = await child.output();
    assert.is(toHex(prefaceOf(kind, NO_HEADER)), toHex(stdout));
  }
});

test("readPreface is the inverse of prefaceOf, with and without a header", () => {
  for (const header of [NO_HEADER, new Uint8Array([0x40, 0x41, 0])]) {
    for (const kind of KINDS) assert.is(readPreface(prefaceOf(kind, header), header), kind);
  }
});

test("readPreface refuses every other byte at every place, and every other length", () => {
  const header = new Uint8Array([0x40, 0x41, 0]);
  const bytes = prefaceOf("request", header);
  for (let offset = 0; offset < bytes.length; offset++) {
    for (let value = 0; value < 256; value++) {
      const changed = bytes.slice();
      changed[offset] = value;
      const kindByte = offset === header.length + 20;
      const expected = kindByte
        ? KINDS[value - 1]
        : value === bytes[offset]
        ? "request"
        : undefined;
      assert.is(readPreface(changed, header), expected);
    }
  }
  for (let length = 0; length < bytes.length; length++) {
    assert.is(readPreface(bytes.subarray(0, length), header), undefined);
  }
  assert.is(readPreface(new Uint8Array(PREFACE_BYTES + 4), header), undefined);
});

test.run();
