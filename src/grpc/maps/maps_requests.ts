/**
 * Requests of the Maps protocol, checked, and as the registry takes them. All checks are made here, so that
 * a refusal names a field as the protocol does; the nodes check again.
 */
import {
  MAPS_CAPACITY_MAX,
  MAPS_CREDENTIAL_BYTES_MAX,
  MAPS_NAME_LENGTH_MAX,
} from "../../base/limits.ts";
import type { MapsAgentInput, MapsGatewayInput } from "../../client/records.ts";
import { canonicalDomain } from "../../record/domain.ts";
import {
  addressFromText,
  checkPort,
  checkRegion,
  invalid,
  isText,
} from "../../record/validation.ts";
import type {
  AgentConnectionRequest,
  GatewayPutRequest,
} from "../../../schemas/proto/gen/maps/maps_pb.ts";
import { missing } from "./maps_error.ts";
import { MAPS_REGION_DEFAULT, mapsIdOf } from "../../client/maps_ids.ts";

/** Returns the region of a request. @throws RegistryError `invalid_argument`. */
export function regionOf({ region }: { readonly region: string }): string {
  return region === "" ? MAPS_REGION_DEFAULT : checkRegion(region);
}

/** Returns the domain of a request, as written. @throws RegistryError `invalid_argument`. */
export function domainOf({ agentDomain }: { readonly agentDomain: string }): string {
  canonicalDomain(given(agentDomain, "agent_domain"), "agent_domain");
  return agentDomain;
}

/** Returns the gateway that a request announces. @throws RegistryError `invalid_argument`. */
export function gatewayOf(request: GatewayPutRequest, ttlMs: number): MapsGatewayInput {
  const { gatewayPort: port, wssPort, capacity } = request;
  const address = given(request.gatewayIp, "gateway_ip");
  addressFromText(address, "gateway_ip");
  if (port === 0) throw missing("gateway_port");
  const credential = credentialOf(request);
  return {
    gatewayId: mapsIdOf(credential, address),
    region: regionOf(request),
    address,
    port: checkPort(port, "gateway_port"),
    wssPort: checkPort(wssPort, "wss_port", true),
    cpu: amount(capacity?.cpu, "capacity.cpu"),
    memory: amount(capacity?.memory, "capacity.memory"),
    storage: amount(capacity?.storage, "capacity.storage"),
    bandwidth: amount(capacity?.bandwidth, "capacity.bandwidth"),
    credential,
    ttlMs,
    scope: "region",
  };
}

/** Returns the agent that a request announces. @throws RegistryError `invalid_argument`. */
export function agentOf(request: AgentConnectionRequest, ttlMs: number): MapsAgentInput {
  const domain = domainOf(request);
  const credential = credentialOf(request);
  const gatewayId = given(request.gatewayId, "gateway_id");
  if (!/^[0-9a-f]{64}$/i.test(gatewayId)) {
    throw invalid("gateway_id", "have 64 hexadecimal digits", gatewayId);
  }
  return {
    domain,
    agentId: mapsIdOf(credential, domain),
    gatewayId,
    region: regionOf(request),
    credential,
    ttlMs,
    scope: "region",
  };
}

function credentialOf(request: { readonly verifiableCredHash: string }): string {
  const credential = given(request.verifiableCredHash, "verifiable_cred_hash");
  if (isText(credential, MAPS_CREDENTIAL_BYTES_MAX)) return credential;
  const wanted = `have at most ${MAPS_CREDENTIAL_BYTES_MAX} bytes`;
  throw invalid("verifiable_cred_hash", wanted, credential);
}

/** Returns a text that a request must have. @throws RegistryError `invalid_argument`. */
function given(text: string, field: string): string {
  if (text === "") throw missing(field);
  if (text.length <= MAPS_NAME_LENGTH_MAX) return text;
  throw invalid(field, `have at most ${MAPS_NAME_LENGTH_MAX} characters`, text);
}

function amount(value = 0, field: string): number {
  if (value >= 0) return value;
  throw invalid(field, `be in [0, ${MAPS_CAPACITY_MAX}]`, value);
}
