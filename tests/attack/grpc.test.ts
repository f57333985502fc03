/**
 * Attacks on the gRPC listener by raw HTTP/2. After each the listener answers a caller, and it is the same
 * process with bounded memory.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import {
  callHeaders,
  EMPTY_MESSAGE,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  headerBlock,
  PREFACE,
} from "../support/raw_http2.ts";
import { within } from "../support/until.ts";

const CHECK = "/grpc.health.v1.Health/Check";
const WATCH = "/grpc.health.v1.Health/Watch";
/** A listener that was attacked has about 120 MB; a leak of each attack's input would show. */
const RESIDENT_MB_MAX = 400;
const target = new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", new URL("../support/grpc_target.ts", import.meta.url).pathname],
  stdin: "null",
  stdout: "piped",
  stderr: "inherit",
}).spawn();
let hasEnded = false;
void target.status.then(() => hasEnded = true);
const reader = target.stdout.pipeThrough(new TextDecoderStream()).getReader();
const port = Number((await within("the port", reader.read(), 20_000)).value);

test.after(async () => {
  target.kill("SIGKILL");
  await target.status;
  await reader.cancel();
});

/** Connects, and drops what arrives. */
async function connect(): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  void conn.readable.pipeTo(new WritableStream()).catch(() => {});
  return conn;
}

/** Writes all of some bytes; the other end may hang up meanwhile. */
async function send(conn: Deno.TcpConn, ...parts: readonly Uint8Array[]): Promise<void> {
  const bytes = concatBytes(parts);
  try {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  } catch {
    // It was dropped, as it deserves.
  }
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // It was closed by its reader.
  }
}

/** Returns the frames of a call: its headers, and its message if `isWhole`. */
function call(stream: number, path: string, isWhole: boolean): Uint8Array {
  const headers = frame(FRAME.headers, headerBlock(callHeaders(path)), {
    flags: END_HEADERS,
    stream,
  });
  return isWhole
    ? concatBytes([headers, frame(FRAME.data, EMPTY_MESSAGE, { flags: END_STREAM, stream })])
    : headers;
}

/** Asserts that a caller is answered SERVING, by the process that was attacked. */
async function serves(): Promise<void> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    await send(conn, PREFACE, call(1, CHECK, true));
    const answer = async () => {
      let hex = "";
      const buffer = new Uint8Array(4_096);
      // The message {status: SERVING} with its prefix.
      while (!hex.includes("00000000020801")) {
        const count = await conn.read(buffer);
        if (count === null) throw new Error("The connection ended");
        hex += [...buffer.subarray(0, count)].map((byte) => byte.toString(16).padStart(2, "0"))
          .join("");
      }
    };
    await within("an answer", answer(), 10_000);
  } finally {
    close(conn);
  }
  assert.is(hasEnded, false, "the process has ended");
  const status = await Deno.readTextFile(`/proc/${target.pid}/status`);
  const residentMb = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
  assert.ok(residentMb < RESIDENT_MB_MAX, `it has ${residentMb} MB`);
}

/** Runs an attack on one connection after the other. */
function attack(
  name: string,
  connections: number,
  run: (conn: Deno.TcpConn) => Promise<void>,
): void {
  test(name, async () => {
    for (let count = 0; count < connections; count++) {
      const conn = await connect();
      await run(conn);
      close(conn);
    }
    await serves();
  });
}

const GOAWAY = frame(FRAME.goaway, new Uint8Array(8));
const RESET_CODE = Uint8Array.of(0, 0, 0, 8);
const odd = (count: number) => Array.from({ length: count }, (_, index) => 2 * index + 1);

attack("GOAWAY while calls are in progress, and a hang-up", 100, async (conn) => {
  await send(conn, PREFACE, ...odd(20).map((stream) => call(stream, WATCH, true)), GOAWAY);
});

attack("calls that are reset as soon as they begin", 3, async (conn) => {
  const calls = odd(10_000).flatMap((stream) => [
    call(stream, WATCH, false),
    frame(FRAME.reset, RESET_CODE, { stream }),
  ]);
  await send(conn, PREFACE, ...calls);
});

attack("a head that never ends", 3, async (conn) => {
  const block = headerBlock(callHeaders(CHECK));
  const more = headerBlock([["x-more", "y".repeat(1_000)]]);
  await send(
    conn,
    PREFACE,
    frame(FRAME.headers, block, { stream: 1 }),
    ...Array.from({ length: 20_000 }, () => frame(FRAME.continuation, more, { stream: 1 })),
  );
});

attack("heads of great size", 20, async (conn) => {
  const bomb = headerBlock([...callHeaders(CHECK), ["x-bomb", "y".repeat(16_000)]]);
  const heads = odd(100).map((stream) =>
    frame(FRAME.headers, bomb, { flags: END_HEADERS | END_STREAM, stream })
  );
  await send(conn, PREFACE, ...heads);
});

attack("settings and pings without end, whose answers are not read", 3, async (conn) => {
  const setting = frame(FRAME.settings, Uint8Array.of(0, 3, 0, 0, 0, 1));
  const ping = frame(FRAME.ping, new Uint8Array(8));
  await send(conn, PREFACE, ...Array.from({ length: 50_000 }, () => [setting, ping]).flat());
});

attack("bytes that are no HTTP/2, and frames of wrong lengths", 50, async (conn) => {
  await send(conn, new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  const broken = await connect();
  await send(broken, PREFACE, frame(FRAME.ping, new Uint8Array(3)), new Uint8Array(100).fill(0xff));
  close(broken);
});

test("10,000 streams on 40 connections, and silent connections beside them", async () => {
  const open: Deno.TcpConn[] = [];
  for (let count = 0; count < 40; count++) {
    const conn = await connect();
    open.push(conn);
    await send(conn, PREFACE, ...odd(250).map((stream) => call(stream, CHECK, false)));
  }
  for (let count = 0; count < 300; count++) open.push(await connect());
  await serves();
  for (const conn of open) close(conn);
  await serves();
});

test.run();
