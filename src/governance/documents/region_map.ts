/**
 * The region map: `region → services`, put together from the published descriptors of kind
 * `region_map`, of which each describes one region.
 */
import { GOVERNED_ID_LENGTH_MAX, REGION_SERVICES_MAX } from "../../base/limits.ts";
import {
  arrayOf,
  exactMembers,
  integerOf,
  invalidDocument,
  type JsonObject,
  textOf,
} from "./json_members.ts";

/** A service of a region. */
export interface RegionService {
  readonly id: string;
  /** `host:port`, or a URL. */
  readonly addr: string;
  readonly tls: boolean;
  /** Share of the requests that it gets, in proportion to the others. */
  readonly weight: number;
}

/** The region map. */
export interface RegionMap {
  /** Global version that changed it last, by a region that came, changed or went; 0 if none did. */
  readonly version: number;
  readonly regions: Readonly<Record<string, { readonly services: readonly RegionService[] }>>;
}

/** Checks the body of a descriptor of kind `region_map`. @throws RegistryError `invalid_argument`. */
export function checkRegionBody(body: JsonObject): void {
  exactMembers(body, "body", ["region_id", "services"]);
  textOf(body, "region_id", GOVERNED_ID_LENGTH_MAX);
  const ids = new Set<string>();
  for (const item of arrayOf(body, "services", REGION_SERVICES_MAX)) {
    const service = exactMembers(item, "A service", ["id", "addr", "tls", "weight"]);
    const id = textOf(service, "id", GOVERNED_ID_LENGTH_MAX);
    textOf(service, "addr", 300);
    integerOf(service, "weight", { max: 1_000_000 });
    if (typeof service["tls"] !== "boolean") throw invalidDocument("tls must be true or false");
    if (ids.has(id)) {
      throw invalidDocument(`A region must have a service once: ${id} is there twice`);
    }
    ids.add(id);
  }
}

/** Returns the region that a checked body describes. */
export function regionIdOf(body: JsonObject): string {
  return body["region_id"] as string;
}

/** Returns the map of the published descriptors, given as checked bodies. */
export function regionMapOf(version: number, published: Iterable<JsonObject>): RegionMap {
  const regions: [string, { readonly services: readonly RegionService[] }][] = [];
  for (const body of published) {
    regions.push([regionIdOf(body), { services: body["services"] as readonly RegionService[] }]);
  }
  regions.sort(([left], [right]) => left < right ? -1 : 1);
  return { version, regions: Object.fromEntries(regions) };
}
