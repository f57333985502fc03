/**
 * The bare HTTP server beside which the front is measured: `node:http`, as the front uses it, with one
 * fixed answer for every path, or a stream of events that never come.
 *
 *     deno run -A bench/http_floor.ts <bytes>
 */
import { createServer } from "node:http";

const body = new TextEncoder().encode(`{"text":"${"x".repeat(Number(Deno.args[0]) - 11)}"}`);
const server = createServer((request, response) => {
  if (request.headers.accept === "text/event-stream") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": open\n\n");
    return;
  }
  response.writeHead(200, {
    "content-type": "application/json; charset=utf-8",
    "content-length": body.length,
  });
  response.end(body);
});
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ port: (server.address() as { port: number }).port }));
});
