/** The route by which clients of the Maps protocol find where it is served. Its names are theirs. */
import { z } from "zod";
import { MAPS_SEEDERS_TOLD } from "../../base/limits.ts";
import { mapsIdOf, type MapsSeederInfo } from "../../client/mod.ts";
import type { NodeCondition } from "../../faces/node_condition.ts";
import { type HttpRoute, route } from "../route.ts";
import type { Seeders } from "../seeders.ts";

const seeder = z.looseObject({
  SeederID: z.string().describe("SHA-256 of VerifiableHash, `|` and SeedIP, hexadecimal"),
  Name: z.string(),
  Dns: z.string().describe("host name; empty: none"),
  SeedIP: z.string(),
  SeedPort: z.string().describe("port of gRPC"),
  Region: z.string(),
  VerifiableHash: z.string().describe(
    "SHA-256 of the TLS certificate, hexadecimal; empty: it serves plain text",
  ),
}).meta({ id: "Seeder" });

/** Returns the route. */
export function mapsRoutes(seeders: Seeders, node: NodeCondition): readonly HttpRoute[] {
  return [
    route({
      method: "GET",
      path: "/seeder",
      name: "get_seeders",
      tag: "maps",
      summary: `Lists up to ${MAPS_SEEDERS_TOLD} fronts of a region that serve the Maps protocol`,
      query: z.strictObject({
        region: z.string().max(255).optional().describe("region (default: that of the node)"),
      }),
      answers: { 200: { description: "the fronts", schema: z.array(seeder) } },
      handle: async ({ query: { region = "" } }) => {
        const found = await seeders.of(region === "" ? await node.region() : region);
        return { body: found.map(seederJson) };
      },
    }),
  ];
}

function seederJson({ address, port, pin, ...front }: MapsSeederInfo): z.input<typeof seeder> {
  return {
    SeederID: mapsIdOf(pin, address),
    Name: front.name,
    Dns: front.domain,
    SeedIP: address,
    SeedPort: String(port),
    Region: front.region,
    VerifiableHash: pin,
  };
}
