/** The functions of `crs.v1.Registry`, of which each file here has some, and what they share. */
import type { Registry } from "../../../schemas/proto/gen/crs/v1/registry_pb.ts";
import type { GovernedSource } from "../../faces/governed_source.ts";
import type { ServiceFunctions } from "../service.ts";

/** All functions of the service. */
export type RegistryFunctions = ServiceFunctions<typeof Registry>;

/** Parts that the functions share. */
export interface RegistryParts {
  /** Returns the region of the registry. @throws RegistryError if it cannot be asked. */
  readonly region: () => Promise<string>;
  /** The governed plane. */
  readonly governed: GovernedSource;
}
