/**
 * The HTTP face on Node: serves itself by the front's listener, sends it requests, and prints one JSON
 * document of what came back.
 */
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { GovernedSource } from "../../../src/faces/governed_source.ts";
import { openHttpListener } from "../../../src/front/http_listener.ts";
import { HttpApp, type HttpAppOptions } from "../../../src/http/app.ts";
import { processWorld } from "../../../src/node/process_world.ts";

const world = processWorld();
const denied = () => Promise.reject(new Error("Not asked here"));
const status = { nodeId: 7, region: "global", ready: true, reason: "", leaderless: 0 };
const registered = { id: "x", created: true, incarnation: { generation: 1, index: 2 } };
const client = {
  status: { state: "connected" },
  nodeStatus: () => Promise.resolve(status),
  registerAgent: () => Promise.resolve(registered),
  governed: { view: denied, status: denied },
} as unknown as HttpAppOptions["client"];
const app = new HttpApp({
  client,
  callers: { take: () => ({ client: client as never, release() {} }) },
  governed: new GovernedSource(client as never, world),
  world,
  logger: SILENT_LOGGER,
});
const listener = await openHttpListener({
  host: "127.0.0.1",
  port: 0,
  handler: (request, peer) => app.answer(request, peer),
  logger: SILENT_LOGGER,
  scheduler: world.scheduler,
});
const url = `http://127.0.0.1:${listener.port}`;
const read = await fetch(`${url}/v1/status`);
const agent = await fetch(`${url}/v1/agents`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ domain: "a.example" }),
});
const large = await fetch(`${url}/v1/agents`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: `"${"x".repeat(2 * 1024 * 1024)}"`,
});
const document = await (await fetch(`${url}/openapi.json`)).json() as { readonly openapi: string };
console.log(JSON.stringify({
  status: (await read.json() as typeof status).nodeId,
  etag: agent.headers.get("etag"),
  codes: [read.status, agent.status, large.status],
  openapi: document.openapi,
}));
await listener.close();
app.close();
