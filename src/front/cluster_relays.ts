/**
 * The relay registry of this cluster as each caller may use it: relays belong to those who registered them,
 * and the nodes decide who may do what.
 */
import type { World } from "../base/world.ts";
import type { RegistryCalls } from "../client/types.ts";
import type { CallContext } from "../grpc/service.ts";
import { ClusterRelayBackend } from "../relay/cluster_backend.ts";
import { openRelayRegistry } from "../relay/open_relay_registry.ts";
import type { RelayRegistry } from "../relay/relay_registry.ts";
import type { RelayTimes } from "../relay/relay_times.ts";

/** The relay registries of all callers. */
export class ClusterRelays {
  readonly #times: Partial<RelayTimes>;
  readonly #world: World;
  /** Registries by client. They hold nothing besides it, so they need no closing. */
  readonly #registries = new WeakMap<RegistryCalls, Promise<RelayRegistry>>();

  constructor(times: Partial<RelayTimes>, world: World) {
    this.#times = times;
    this.#world = world;
  }

  /** Returns the registry for a caller. */
  for({ client }: CallContext): Promise<RelayRegistry> {
    const known = this.#registries.get(client);
    if (known !== undefined) return known;
    const opened = this.#open(client);
    this.#registries.set(client, opened);
    return opened;
  }

  /** Opens the registry over one client. @throws RegistryError `invalid_configuration`. */
  #open(client: RegistryCalls): Promise<RelayRegistry> {
    return openRelayRegistry("cluster", {
      ...this.#times,
      world: this.#world,
      cluster: (times) => new ClusterRelayBackend(client, { times }),
    });
  }

  /** Checks the times before the first caller comes. @throws RegistryError `invalid_configuration`. */
  async check(own: RegistryCalls): Promise<void> {
    await this.#open(own);
  }
}
