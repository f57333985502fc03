/**
 * The bare server beside which the front's CPU time for gRPC is measured: `node:http2`, as the front uses
 * it, with one fixed message for every call.
 *
 *     deno run -A bench/grpc_floor.ts
 */
import { createServer, type ServerHttp2Stream } from "node:http2";

/** A message of two bytes behind its prefix. */
const message = Uint8Array.of(0, 0, 0, 0, 2, 8, 1);
const server = createServer();
server.on("stream", (stream: ServerHttp2Stream) => {
  stream.on("data", () => {});
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.on("end", () => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc" },
      { waitForTrailers: true },
    );
    stream.end(message);
  });
});
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ port: (server.address() as { port: number }).port }));
});
