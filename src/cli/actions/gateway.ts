/** Implements what `crs gateway` has beyond the commands of every kind of record. */
import { pageOf } from "../../answers/record_calls.ts";
import { RESOLVE_GATEWAYS_MAX } from "../../base/limits.ts";
import type { Fetch } from "./record.ts";

/** Fetches active gateways, most free capacity first, for `crs gateway list --free`. */
export const fetchFree: Fetch = async (client, region, limit = RESOLVE_GATEWAYS_MAX) => {
  const options = { limit: Math.min(limit, RESOLVE_GATEWAYS_MAX) };
  return pageOf(await client.resolveGateways(region, options), ({ gateway }) => gateway);
};
