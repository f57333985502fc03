/** Mutants of the records of the Maps protocol: a credential holds a name, in all regions, under one id. */
import type { PlacedPlan } from "../../placed/plan.ts";
import type { Mutant } from "../mutant.ts";

const withPrograms = ({ mapsPrograms }: PlacedPlan): boolean => mapsPrograms > 0;

export const MAPS_MUTANTS: readonly Mutant[] = [
  {
    name: "maps_name_of_any_credential",
    breaks: "While a record of the Maps protocol lives, no other credential registers its name",
    showsPlaced: withPrograms,
    edits: [{
      file: "src/record/maps/maps_record.ts",
      anchor: `if (current.credential === incoming.credential) return "updates";`,
      replacement: `if (current.credential !== "") return "updates";`,
    }],
  },
  {
    name: "maps_domain_held_in_each_region",
    breaks: "A domain has one holder of the Maps protocol in all regions",
    showsPlaced: withPrograms,
    edits: [{
      file: "src/record/maps/maps_agent.ts",
      anchor: "foreignKey: ({ domain }) => [canonicalDomain(domain)],",
      replacement: "foreignKey: ({ domain, region }) => [canonicalDomain(domain), region],",
    }],
  },
  {
    name: "maps_id_of_each_registration",
    breaks: "An id of the Maps protocol is made of credential and name alone",
    showsPlaced: withPrograms,
    edits: [{
      file: "src/client/maps_ids.ts",
      anchor: "return toHex(sha256(new TextEncoder().encode(`${credential}|${name}`)));",
      replacement:
        "return toHex(sha256(new TextEncoder().encode(`${credential}|${name}|${++made}`)));",
    }, {
      file: "src/client/maps_ids.ts",
      anchor: `export const MAPS_REGION_DEFAULT = "global";`,
      replacement: `export const MAPS_REGION_DEFAULT = "global";\nlet made = 0;`,
    }],
  },
  {
    name: "maps_endpoint_not_claimed",
    breaks: "A gateway of the Maps protocol holds its endpoint against other credentials",
    showsPlaced: withPrograms,
    edits: [{
      file: "src/client/calls/maps.ts",
      anchor:
        `await this.#register("registerMapsEndpoint", MAPS_ENDPOINT, endpoint, deadline.options());`,
      replacement: "void [MAPS_ENDPOINT, endpoint];",
    }],
  },
];
