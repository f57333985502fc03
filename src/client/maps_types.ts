/** The SDK's calls on gateways and agents of the Maps protocol (schemas/proto/maps). */
import type { MapsAgentInfo, MapsAgentInput } from "../record/maps/maps_agent.ts";
import type { MapsGatewayInfo, MapsGatewayInput } from "../record/maps/maps_gateway.ts";
import type { MapsSeederInfo, MapsSeederInput } from "../record/maps/maps_seeder.ts";
import type { ListOptions, Page, RecordSource, ResolveGatewaysOptions } from "./answer_types.ts";
import type { CallOptions } from "./call_options.ts";

/** A gateway of the Maps protocol in a list. */
export interface ListedMapsGateway {
  readonly gateway: MapsGatewayInfo;
  readonly remainingMs: number;
  /** Present on a record of another region. */
  readonly source?: RecordSource;
}

/** An agent of the Maps protocol in a list. */
export interface ListedMapsAgent {
  readonly agent: MapsAgentInfo;
  readonly remainingMs: number;
  /** Present on a record of another region. */
  readonly source?: RecordSource;
}

/**
 * Gateways and agents of the Maps protocol, which AgniStack's own programs speak. They are records apart
 * from those of identities: nobody has vouched for them, and the first credential holds a name.
 */
export interface MapsClient {
  /**
   * Registers a gateway, or extends its lease with new content.
   *
   * @throws RegistryError `permission_denied` if another credential or identity holds the gateway or its
   * endpoint; `foreign_region`.
   */
  registerGateway(gateway: MapsGatewayInput, options?: CallOptions): Promise<void>;
  /**
   * Registers an agent, or extends its lease with new content.
   *
   * @throws RegistryError `permission_denied` if another credential or identity holds the domain;
   * `foreign_region`.
   */
  registerAgent(agent: MapsAgentInput, options?: CallOptions): Promise<void>;
  /** Gets a gateway by its id of 64 hexadecimal digits. @throws RegistryError `not_found`. */
  getGateway(gatewayId: string, options?: CallOptions): Promise<MapsGatewayInfo>;
  /** Gets the agent that holds a domain. @throws RegistryError `not_found`. */
  getAgent(domain: string, options?: CallOptions): Promise<MapsAgentInfo>;
  /** Returns live gateways of a region, those with the most free capacity first. */
  bestGateways(
    region: string,
    options?: ResolveGatewaysOptions,
  ): Promise<readonly MapsGatewayInfo[]>;
  /** Returns one page of a region's gateways, as `Client.listGateways` does. */
  listGateways(region: string, options?: ListOptions): Promise<Page<ListedMapsGateway>>;
  /** Like {@link listGateways}, for agents. */
  listAgents(region: string, options?: ListOptions): Promise<Page<ListedMapsAgent>>;
  /**
   * Removes the agent that holds a domain, for an administrator; it is audited.
   *
   * @throws RegistryError `not_found`, `permission_denied`.
   */
  removeAgent(domain: string, options?: CallOptions): Promise<void>;
  /** Removes a gateway and its claim on its endpoint, as {@link removeAgent} does. */
  removeGateway(gatewayId: string, options?: CallOptions): Promise<void>;
  /**
   * Announces a front that serves the Maps protocol, or extends its lease.
   *
   * @throws RegistryError `permission_denied` to all but fronts.
   */
  registerSeeder(seeder: MapsSeederInput, options?: CallOptions): Promise<void>;
  /** Returns fronts of a region that serve the Maps protocol, up to the limit. */
  listSeeders(region: string, options?: ListOptions): Promise<readonly MapsSeederInfo[]>;
}
