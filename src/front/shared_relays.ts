/**
 * Who may use a relay registry whose backend knows no callers, such as Redis: everybody whose identity
 * the registry confirms, and callers without one if a setting says so. What a capability permits are
 * operations of the registry, of which such a backend has none, so capabilities do not open it.
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

/** A relay registry and its door. */
export class SharedRelays {
  readonly #options: SharedRelaysOptions;
  /** When each caller's identity was confirmed last, monotonic ms. */
  readonly #confirmedMs = new WeakMap<RegistryCalls, number>();

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

  /** Asks the registry whether the caller is who it says, at most about once a second. */
  async #confirm({ client, signal, timeoutMs }: CallContext): Promise<void> {
    const { clock } = this.#options;
    const confirmedMs = this.#confirmedMs.get(client);
    if (confirmedMs !== undefined && clock.nowMs() - confirmedMs < RELAY_CALLER_MS) return;
    // The cheapest call: the evidence is checked before any.
    await client.identities.tokenKeys(timeoutMs === undefined ? { signal } : { signal, timeoutMs });
    this.#confirmedMs.set(client, clock.nowMs());
  }
}
