/**
 * A gRPC listener in a process of its own, on Deno or Node: prints its port, then serves relays in memory,
 * health and reflection.
 */
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import { GrpcListener } from "../../src/front/grpc_listener.ts";
import { GrpcApp } from "../../src/grpc/app.ts";
import { aeroRegistryService } from "../../src/grpc/services/aero_registry.ts";
import { healthService } from "../../src/grpc/services/health.ts";
import { reflectionServices } from "../../src/grpc/services/reflection.ts";
import { ERROR_DETAILS } from "../../src/grpc/status.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { openRelayRegistry } from "../../src/relay/open_relay_registry.ts";

const world = processWorld();
const { scheduler } = world;
const relays = await openRelayRegistry("memory:", { world });
const aero = aeroRegistryService({ relaysOf: () => relays, allowsOlderRelays: false });
const names = [aero.descriptor.typeName];
const services = [aero, healthService({ names, isServing: () => true, scheduler })];
const descriptors = services.map(({ descriptor }) => descriptor);
const app = new GrpcApp({
  services: [...services, ...reflectionServices(descriptors, [ERROR_DETAILS])],
  callers: {
    take: () => {
      throw new Error("No service here needs a client");
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
