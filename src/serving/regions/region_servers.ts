/**
 * The servers of peer regions, for clients that go to the home of a record: where they are, and how they
 * are verified. A region with certificates is verified by the pins of its trust bundle; one in
 * development mode by the CAs that were added with it. Every node answers from its copy of group 0.
 */
import type { RegionServersReply } from "../../../schemas/gen/wire.ts";
import {
  bundleFromJson,
  type TrustedServer,
} from "../../../identity/trust/trust_bundle_content.ts";
import { RegistryError } from "../../base/errors.ts";
import type { PeerRegion } from "../../system/regions/region_state.ts";

/** Dependencies of {@link RegionServers}. */
export interface RegionServersParts {
  /** Name of the region of this cluster. */
  readonly own: string;
  /** Returns a peer region; undefined if there is none of that name. */
  readonly regionOf: (name: string) => PeerRegion | undefined;
}

/** Tells clients of the servers of peer regions. */
export class RegionServers {
  readonly #parts: RegionServersParts;

  constructor(parts: RegionServersParts) {
    this.#parts = parts;
  }

  /** Returns the servers of a region, none of the own one. @throws RegistryError `not_found`. */
  of(name: string): RegionServersReply {
    const { own, regionOf } = this.#parts;
    if (name === own) return { servers: [], authorities: "" };
    const region = regionOf(name);
    if (region === undefined) {
      const message = `${JSON.stringify(name)} is no peer region of ${own}`;
      throw new RegistryError("not_found", message, { field: "name" });
    }
    const { servers, bundle } = region.settings;
    const known = knownServers(bundle);
    return {
      servers: servers.map((address) => ({ address, pins: pinsOf(known, address) })),
      authorities: known === undefined ? bundle : "",
    };
  }
}

/** Returns the servers that a trust bundle names; undefined if it is the certificates of CAs. */
function knownServers(bundle: string): readonly TrustedServer[] | undefined {
  if (!bundle.trimStart().startsWith("{")) return undefined;
  try {
    return bundleFromJson((JSON.parse(bundle) as { readonly bundle?: unknown }).bundle).servers;
  } catch {
    // A bundle that cannot be read names none.
    return [];
  }
}

function pinsOf(servers: readonly TrustedServer[] | undefined, address: string): Uint8Array[] {
  return (servers ?? []).filter(({ authorities }) => authorities.includes(address))
    .flatMap(({ currentPin, nextPin }) => [currentPin, nextPin]);
}
