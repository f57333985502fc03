/** The bytes of HTTP/3 with which a WebTransport session begins. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex, toHex } from "../../../src/base/bytes.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { readConnect, readStreamStart, SERVER_SETTINGS } from "../../../transport/http3.ts";
import { HTTP3_CONNECT, HTTP3_SETTINGS } from "../../support/raw_quic.ts";

const bytes = (hex: string) => fromHex(hex.replaceAll(" ", ""))!;
const codeOf = (run: () => unknown): string => {
  try {
    return String(run());
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
};
/** HEADERS around a header block. */
const headers = (block: string) => {
  const content = bytes(block);
  return new Uint8Array([1, content.length, ...content]);
};

test("readStreamStart takes SETTINGS that allow WebTransport, and waits at every offset before", () => {
  for (const settings of [HTTP3_SETTINGS, SERVER_SETTINGS, bytes("00 04 05 ab603742 01")]) {
    for (let end = 0; end < settings.length; end++) {
      assert.is(readStreamStart(settings.subarray(0, end)), "more");
    }
    assert.is(readStreamStart(settings), "settings");
  }
  assert.is(toHex(SERVER_SETTINGS), toHex(HTTP3_SETTINGS), "As Deno's own server and client");
});

test("readStreamStart passes over other streams and refuses other beginnings of the control stream", () => {
  for (const other of ["02", "03", "4041", "40ff"]) {
    assert.is(readStreamStart(bytes(other)), "other");
  }
  assert.is(codeOf(() => readStreamStart(bytes("00 07 01 00"))), "malformed");
  assert.is(codeOf(() => readStreamStart(bytes("00 04 00"))), "malformed", "No WebTransport");
  assert.is(codeOf(() => readStreamStart(bytes("00 04 05 ab603742 00"))), "malformed");
  assert.is(codeOf(() => readStreamStart(bytes("00 04 04 ab603742"))), "malformed", "No value");
});

test("readConnect takes a request for WebTransport, and waits at every offset before", () => {
  for (let end = 0; end < HTTP3_CONNECT.length; end++) {
    assert.is(readConnect(HTTP3_CONNECT.subarray(0, end)), false);
  }
  assert.is(readConnect(HTTP3_CONNECT), true);
});

/** Texts as they are and in the Huffman code of RFC 7541, appendix B. */
const CONNECT = ["07 434f4e4e454354", "87 bdab4e9c17b7ff"];
const PROTOCOL = ["2702 3a70726f746f636f6c", "2f00 b95d8749c87a3f"];
const WEBTRANSPORT = ["0c 7765627472616e73706f7274", "89 f058d360ea4567b13f"];
const METHOD = ["cf", ...CONNECT.flatMap((text) => [`5f00 ${text}`, `5f06 ${text}`])];

test("readConnect takes method, name and value in all of their forms", () => {
  for (const method of METHOD) {
    for (const name of PROTOCOL) {
      for (const value of WEBTRANSPORT) {
        assert.is(readConnect(headers(`0000 ${method} d1 ${name} ${value} c1`)), true);
      }
    }
  }
});

test("readConnect skips reserved frames before the request, and no others", () => {
  const request = headers(`0000 cf ${PROTOCOL[1]} ${WEBTRANSPORT[1]}`);
  assert.is(readConnect(new Uint8Array([...bytes("21 02 ffff 4040 00"), ...request])), true);
  assert.is(
    codeOf(() => readConnect(new Uint8Array([...bytes("00 01 ff"), ...request]))),
    "malformed",
  );
});

test("readConnect refuses what is no request for WebTransport", () => {
  const [name, value] = [PROTOCOL[0], WEBTRANSPORT[0]];
  const others = [
    ["0000 d1 c1", "GET"],
    ["0000 cf", "a CONNECT for nothing"],
    [`0000 ${name} ${value}`, "no method"],
    [`0000 cf ${name} 09 776562736f636b6574`, "websocket"],
    [`0000 cf 2702 3a70726f746f636f6d ${value}`, "another name"],
    [`0100 cf ${name} ${value}`, "a dynamic table"],
    [`0000 cf ${name} ${value} 80`, "a field of the dynamic table"],
    [`0000 cf ${name} ${value} 10`, "a field behind the base"],
    [`0000 cf ${name} 7f`, "a text beyond the end"],
    ["0000 ffffffffffff7f", "an integer that is too large"],
    ["00", "no base"],
  ] as const;
  for (const [block, what] of others) {
    assert.is(codeOf(() => readConnect(headers(block))), "malformed", what);
  }
});

test("readers of HTTP/3 end any bytes with a verdict or a coded error", () => {
  const entropy = new SeededEntropy(11);
  const verdicts = new Set<string>();
  for (let round = 0; round < 20_000; round++) {
    const start = round % 2 === 0 ? HTTP3_SETTINGS : HTTP3_CONNECT;
    const changed = start.slice();
    for (let count = 0; count <= round % 4; count++) {
      changed[Math.floor(entropy.unit() * changed.length)] = Math.floor(entropy.unit() * 256);
    }
    verdicts.add(codeOf(() => round % 2 === 0 ? readStreamStart(changed) : readConnect(changed)));
  }
  assert.equal([...verdicts].sort(), ["false", "malformed", "more", "other", "settings", "true"]);
});

test.run();
