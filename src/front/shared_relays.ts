/**
 * Access to a relay registry whose backend knows no callers, such as Redis: for everybody whose identity
 * the registry confirms, and for callers without one if a setting says so. A capability permits operations
 * of the registry, and calls of such a backend are none, so capabilities give no access.
 */
import { RegistryError } from "../base/errors.ts";
import { RELAY_CALLER_MS } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { RegistryCalls } from "../client/types.ts";
import type { CallContext } from "../grpc/service.ts";
import type { RelayRegistry } from "../relay/relay_registry.ts";
import { isCapabilityText } from "../../identity/capabilities/capability.ts";
import { isAnonymous } from "./grpc_callers.ts";

/** Options of {@link SharedRelays}. */
export interface SharedRelaysOptions {
  readonly relays: RelayRegistry;
  /** Whether callers without an identity are served. */
  readonly allowsAnonymous: boolean;
  readonly clock: MonotonicClock;
}

/** A relay registry and the check of its callers. */
export class SharedRelays {
  readonly #options: SharedRelaysOptions;
  /** When the registry was asked last about each caller that it confirmed, monotonic ms. */
  readonly #askedMs = new WeakMap<RegistryCalls, number>();

  constructor(options: SharedRelaysOptions) {
    this.#options = options;
  }

  /**
   * Returns the registry for a caller.
   *
   * @throws RegistryError `unauthenticated` if it has no identity, or none that is valid;
   * `permission_denied` if it presents a capability.
   */
  async for(context: CallContext): Promise<RelayRegistry> {
    const { relays, allowsAnonymous } = this.#options;
    const { caller } = context;
    if (isAnonymous(caller)) {
      if (allowsAnonymous) return relays;
      throw new RegistryError(
        "unauthenticated",
        "A relay must present a client certificate: callers without an identity are served with " +
          "--legacy-clients only",
      );
    }
    const [, token = ""] = /^Bearer +(\S+)/i.exec(caller.authorization ?? "") ?? [];
    if (isCapabilityText(token)) {
      const message = "A capability cannot be used with this relay backend: present a certificate";
      throw new RegistryError("permission_denied", message);
    }
    await this.#confirm(context);
    return relays;
  }

  /**
   * Asks the registry whether the caller's identity is valid, unless it confirmed that within the last
   * `RELAY_CALLER_MS`.
   */
  async #confirm({ client, signal, timeoutMs }: CallContext): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    const askedMs = this.#askedMs.get(client);
    if (askedMs !== undefined && nowMs - askedMs < RELAY_CALLER_MS) return;
    // The cheapest call: the evidence is checked before any.
    await client.identities.tokenKeys(timeoutMs === undefined ? { signal } : { signal, timeoutMs });
    // The answer may have been on its way for long, and a ban may have come meanwhile.
    this.#askedMs.set(client, nowMs);
  }
}
