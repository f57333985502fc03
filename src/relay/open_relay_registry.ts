/** Opens the relay registry that a URL names. */
import { RegistryError } from "../base/errors.ts";
import type { World } from "../base/world.ts";
import { BackedRelayRegistry } from "./backed_registry.ts";
import { MemoryRelayBackend } from "./memory_backend.ts";
import type { RelayBackend } from "./relay_backend.ts";
import type { RelayRegistry } from "./relay_registry.ts";
import { checkedRelayTimes, type RelayTimes } from "./relay_times.ts";

/** Options of a relay registry. */
export interface OpenRelayRegistryOptions extends Partial<RelayTimes> {
  readonly world: World;
  /** Makes the backend of this cluster, for the URL `cluster`. */
  readonly cluster?: (times: RelayTimes) => RelayBackend;
}

/**
 * Opens a relay registry. A backend that is down is no error: calls fail until it is there.
 *
 * @param url `memory:`, or `cluster` if the caller brings that backend.
 * @throws `invalid_configuration` for another URL, or a ttl out of range. Its message has no password.
 */
// deno-lint-ignore require-await -- Failures reject.
export async function openRelayRegistry(
  url: string,
  options: OpenRelayRegistryOptions,
): Promise<RelayRegistry> {
  const { world } = options;
  return new BackedRelayRegistry(backendOf(url, options, checkedRelayTimes(options)), world);
}

function backendOf(
  url: string,
  { world, cluster }: OpenRelayRegistryOptions,
  times: RelayTimes,
): RelayBackend {
  if (url === "cluster" && cluster !== undefined) return cluster(times);
  if (url === "memory:" || url === "memory") return new MemoryRelayBackend(world, times);
  throw new RegistryError(
    "invalid_configuration",
    'The relay backend must be "memory:" or "cluster": current value is another',
    { field: "relay-backend" },
  );
}
