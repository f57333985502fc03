/** Opens the relay registry that a URL names. */
import { RegistryError } from "../base/errors.ts";
import type { World } from "../base/world.ts";
import { BackedRelayRegistry } from "./backed_registry.ts";
import { LeasedRelayBackend } from "./leased/leased_backend.ts";
import { MemoryRelayBackend } from "./memory_backend.ts";
import type { RelayBackend } from "./relay_backend.ts";
import type { RelayRegistry } from "./relay_registry.ts";
import { checkedRelayTimes, type RelayTimes } from "./relay_times.ts";
import { parseRelayUrl } from "./relay_url.ts";

/** Options of a relay registry. */
export interface OpenRelayRegistryOptions extends Partial<RelayTimes> {
  readonly world: World;
  /** Makes the backend of this cluster, for the URL `cluster`. */
  readonly cluster?: (times: RelayTimes) => RelayBackend;
}

/**
 * Opens a relay registry. A backend that is down is no error: calls fail until it can be reached.
 *
 * @param url `memory:`, `redis://user:password@host:port/db`, `etcd://user:password@host:port`,
 * `consul://:token@host:port`, with TLS `rediss`, `etcds` or `consuls`; or `cluster` if the caller brings
 * that backend.
 * @throws RegistryError `invalid_configuration` for another URL, or a ttl that the backend cannot keep.
 * Its message contains no password.
 */
export async function openRelayRegistry(
  url: string,
  options: OpenRelayRegistryOptions,
): Promise<RelayRegistry> {
  const backend = await backendOf(url, options, checkedRelayTimes(options));
  return new BackedRelayRegistry(backend, options.world);
}

/** Returns the backend of a URL, whose modules are loaded only if it is used. */
async function backendOf(
  url: string,
  { world, cluster }: OpenRelayRegistryOptions,
  times: RelayTimes,
): Promise<RelayBackend> {
  const address = parseRelayUrl(url);
  switch (address.kind) {
    case "memory":
      return new MemoryRelayBackend(world, times);
    case "redis": {
      const { RedisRelayBackend } = await import("./redis/redis_backend.ts");
      return new RedisRelayBackend(address, world.entropy, times);
    }
    case "etcd": {
      const { EtcdStore } = await import("./leased/etcd_store.ts");
      return new LeasedRelayBackend(new EtcdStore(address, fetch), times);
    }
    case "consul": {
      const { ConsulStore } = await import("./leased/consul_store.ts");
      return new LeasedRelayBackend(new ConsulStore(address, fetch, times), times);
    }
    case "cluster":
      if (cluster !== undefined) return cluster(times);
      throw new RegistryError(
        "invalid_configuration",
        "The relay backend cluster needs the option cluster: no cluster was given",
        { field: "relay-backend" },
      );
  }
}
