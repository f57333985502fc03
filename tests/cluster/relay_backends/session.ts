/**
 * A program for either runtime that uses a relay registry once: with the URL of its backend as argument
 * it prints the relay of an agent that it registered, or the code of the first error.
 */
import process from "node:process";
import { toRegistryError } from "../../../src/base/errors.ts";
import { processWorld } from "../../../src/node/process_world.ts";
import { openRelayRegistry } from "../../../src/relay/open_relay_registry.ts";

const registry = await openRelayRegistry(process.argv[2] ?? "", { world: processWorld() });
try {
  await registry.registerRelay({ relayId: "r1", address: "192.0.2.1", grpcPort: 50_052 });
  await registry.registerAgent("a1", "r1");
  await registry.heartbeatAgent("a1", "r1");
  await registry.listAgents();
  console.log((await registry.placement("a1")).relayId);
} catch (error) {
  console.log(toRegistryError(error).code);
}
await registry.close();
