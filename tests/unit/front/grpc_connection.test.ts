/** A connection of gRPC over a real socket: when, and by how many writes, its answers leave. */
import { type ClientHttp2Session, connect, createServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GrpcConnection } from "../../../src/front/grpc_connection.ts";
import type { CallStream } from "../../../src/grpc/call_stream.ts";
import { testWorld } from "../../support/production_world.ts";
import { callHeaders, EMPTY_MESSAGE } from "../../support/raw_http2.ts";
import { until, within } from "../../support/until.ts";

/** A client whose calls arrive in `arrived`, and the count of writes to the server's socket. */
interface Scene {
  readonly client: ClientHttp2Session;
  readonly arrived: CallStream[];
  readonly writes: () => number;
}

async function withConnection(run: (scene: Scene) => Promise<void>): Promise<void> {
  const server = createServer();
  const arrived: CallStream[] = [];
  let writes = 0;
  let socket: Socket;
  server.prependListener("connection", (one: Socket) => {
    socket = one;
    const { _write, _writev } = one;
    one._write = (...args) => {
      writes++;
      _write.apply(one, args);
    };
    one._writev = (...args) => {
      writes++;
      _writev!.apply(one, args);
    };
  });
  server.on("session", (session) => {
    const ignore = () => {};
    const serve = (stream: CallStream) =>
      stream.receive({ data: ignore, end: () => void arrived.push(stream), closed: ignore });
    const options = { session, socket, isTls: false, serve, world: testWorld() };
    new GrpcConnection({ ...options, busy: ignore, idle: ignore, ended: ignore });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    await run({ client, arrived, writes: () => writes });
  } finally {
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Begins a call; `end` resolves to the bytes of its answer. */
function call(client: ClientHttp2Session) {
  const stream = client.request(Object.fromEntries(callHeaders("/a.B/C")));
  let bytes = 0;
  stream.on("data", (chunk: Uint8Array) => bytes += chunk.length);
  stream.end(EMPTY_MESSAGE);
  const end = new Promise<number>((resolve) => stream.on("close", () => resolve(bytes)));
  return { end, bytes: () => bytes };
}

/** Begins calls and answers all of them in one turn. */
async function answered({ client, arrived }: Scene, count: number): Promise<void> {
  const calls = Array.from({ length: count }, () => call(client));
  await until("the calls", () => arrived.length === count);
  for (const stream of arrived.splice(0)) stream.end({ "grpc-status": "0" }, EMPTY_MESSAGE);
  for (const { end } of calls) assert.is(await within("an answer", end), EMPTY_MESSAGE.length);
}

test("an answer leaves by one write, and so do all answers of a turn", async () => {
  await withConnection(async (scene) => {
    await answered(scene, 1);
    for (const count of [1, 10]) {
      const before = scene.writes();
      await answered(scene, count);
      assert.is(scene.writes() - before, 1, `${count} answers`);
    }
  });
});

test("a message of a stream leaves at once, also while other calls are answered", async () => {
  await withConnection(async (scene) => {
    const { client, arrived } = scene;
    const { bytes, end } = call(client);
    await until("the call", () => arrived.length === 1);
    const [stream] = arrived.splice(0);
    for (let count = 1; count <= 20; count++) {
      const other = call(client);
      await until("another call", () => arrived.length === 1);
      arrived.pop()!.end({ "grpc-status": "0" }, EMPTY_MESSAGE);
      stream!.send(EMPTY_MESSAGE);
      await until("the message", () => bytes() === count * EMPTY_MESSAGE.length);
      await within("the other answer", other.end);
    }
    stream!.end({ "grpc-status": "0" });
    assert.is(await within("the end", end), 20 * EMPTY_MESSAGE.length);
  });
});

test("an answer that is larger than a window of flow control arrives whole", async () => {
  await withConnection(async ({ client, arrived }) => {
    const { end } = call(client);
    await until("the call", () => arrived.length === 1);
    arrived[0]!.end({ "grpc-status": "0" }, new Uint8Array(1_000_000));
    assert.is(await within("the answer", end), 1_000_000);
  });
});

test.run();
