/**
 * `crs.v1.Registry`: the SDK for programs of any language, with the rights of their caller. Relays and the
 * records of Maps have services of their own.
 */
import { Registry } from "../../../schemas/proto/gen/crs/v1/registry_pb.ts";
import { type GrpcService, implement } from "../service.ts";
import { administrationMethods, banMethods } from "./administration_methods.ts";
import { descriptorMethods, logMethods, proofMethods } from "./descriptor_methods.ts";
import { governedMethods, proposalMethods } from "./governed_methods.ts";
import { identityMethods } from "./identity_methods.ts";
import { listMethods, nodeMethods, readMethods } from "./read_methods.ts";
import type { RegistryParts } from "./registry_functions.ts";
import { watchMethods } from "./watch_methods.ts";
import { recordMethods, registerMethods } from "./write_methods.ts";

/** Returns the service. */
export function registryService(parts: RegistryParts): GrpcService {
  return implement(Registry, {
    ...registerMethods(parts),
    ...recordMethods(),
    ...readMethods(parts),
    ...listMethods(parts),
    ...nodeMethods(),
    ...watchMethods(),
    ...identityMethods(),
    ...banMethods(),
    ...administrationMethods(),
    ...governedMethods(),
    ...proposalMethods(parts),
    ...descriptorMethods(parts),
    ...logMethods(parts),
    ...proofMethods(parts),
  });
}
