/** A gRPC listener in a process of its own, for attacks: prints its port, then serves the health alone. */
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import { GrpcListener } from "../../src/front/grpc_listener.ts";
import { GrpcApp } from "../../src/grpc/app.ts";
import { healthService } from "../../src/grpc/services/health.ts";
import { processWorld } from "../../src/node/process_world.ts";

const world = processWorld();
const { scheduler } = world;
const app = new GrpcApp({
  services: [healthService({ names: [], isServing: () => true, scheduler })],
  callers: {
    take: () => {
      throw new Error("The health needs no client");
    },
  },
  world,
  logger: SILENT_LOGGER,
});
const listener = await GrpcListener.open({
  host: "127.0.0.1",
  port: 0,
  serve: (stream) => app.serve(stream),
  logger: SILENT_LOGGER,
  world,
});
console.log(listener.port);
