/**
 * The SDK client: typed calls to the nodes of a cluster, and the leases it keeps.
 *
 * This file only composes the parts: router.ts sends calls to nodes, node_links.ts keeps the
 * connections to them, calls/ implements the operations, lease_keeper.ts renews leases. The client
 * runs wherever its dialer runs, including browsers.
 */
import { RegistryError } from "../base/errors.ts";
import {
  CLIENT_IN_FLIGHT_DEFAULT,
  CLIENT_NODE_SILENCE_MS,
  DIAL_MS_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../base/limits.ts";
import type { RecordKindName } from "../record/kinds.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { OperationName, ReplyOf, RequestOf } from "../wire/operations/mod.ts";
import type { Input } from "../../schemas/runtime/writer.ts";
import { AnswerCache } from "./answer_cache.ts";
import { CachedReads } from "./calls/cached_reads.ts";
import { CachedResolveCalls } from "./calls/cached_resolve.ts";
import type { IdentityCalls } from "./calls/identity.ts";
import { allPages } from "./calls/list.ts";
import type { ResolveCalls } from "./calls/resolve.ts";
import { checkParameters, helloOf, parametersElsewhere } from "./client_parameters.ts";
import type { Credentials } from "./credentials.ts";
import {
  capabilityClient,
  delegatedClient,
  type DelegatingParts,
} from "./delegation/delegated_client.ts";
import type { CallerEvidence } from "./delegation/evidence.ts";
import type { Guarded } from "../../identity/capabilities/guarded.ts";
import { DirectCalls } from "./direct_calls.ts";
import type { OperationCaller } from "./invoker.ts";
import type { MapsCalls } from "./calls/maps.ts";
import type { GovernedCalls } from "./governed/governed_client.ts";
import { goesHome, HomeCalls, manyAtHome, sourceHome } from "./home_calls.ts";
import { LeaseKeeper } from "./lease_keeper.ts";
import { OwnershipSequence } from "./ownership.ts";
import type { AgentInput, GatewayInput } from "./records.ts";
import type { RelayClient } from "./relay_types.ts";
import { Router } from "./router.ts";
import { RingMapWatch } from "./watch/ring_watch.ts";
import type {
  CachedView,
  CachedViewOptions,
  CallOptions,
  Client,
  ClientStatus,
  ConnectParameters,
  DelegatedClient,
  DeregisterOptions,
  KeepItem,
  KeepOptions,
  ListedAgent,
  ListedGateway,
  ListOptions,
  RecordFilter,
  RegisterItem,
  RegisterOptions,
  RenewItem,
  ReportOptions,
  ResolveGatewaysOptions,
  RingWatch,
  Watch,
  WatchFilter,
  WatchOptions,
} from "./types.ts";

/** Default time for which `close` waits for leases to be released, ms. */
const RELEASE_MS_DEFAULT = 2_000;

/**
 * Connects to the registry.
 *
 * ```ts ignore
 * const client = await connect({
 *   endpoints: [{ host: "127.0.0.1", port: 4100 }],
 *   dialer: new QuicDialer(),
 *   trust: { kind: "ca", pem: [caPem] },
 *   world: processWorld(),
 * });
 * const lease = await client.keepGateway({
 *   region: "global",
 *   domain: "global.gateway.example",
 *   address: "192.0.2.10",
 *   port: 4000,
 * });
 * lease.ended.then(({ reason }) => console.log(`The gateway's place is lost: ${reason}`));
 *
 * const { agent, gateway } = await client.resolveAgent("a1.example");
 * console.log(`${agent.id} is reached by ${gateway?.address}:${gateway?.port}`);
 * await client.close({ releaseLeases: true });
 * ```
 *
 * @returns a connected client; with `options.lazy`, a client that is still connecting.
 * @throws RegistryError the reason if no connection was made within `options.connectTimeoutMs`.
 */
export async function connect(parameters: ConnectParameters): Promise<Client> {
  return await connectCaller(parameters);
}

/** Connects as {@link connect} does; the client also invokes operations by their names. */
export async function connectCaller(
  parameters: ConnectParameters,
): Promise<Client & OperationCaller> {
  const { options = {} } = parameters;
  checkParameters(parameters);
  const client = new RegistryClient(parameters);
  if (options.lazy === true) return client;
  try {
    await client.firstConnection(options.connectTimeoutMs ?? DIAL_MS_MAX);
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}

/** The client returned by {@link connect}. */
class RegistryClient implements Client, OperationCaller {
  readonly process: number;
  readonly #router: Router;
  /** Shared by the delegated clients of this one. */
  readonly #shared: DelegatingParts;
  /** Calls to the client's own registry. */
  readonly #calls: DirectCalls;
  readonly #resolve: Pick<ResolveCalls, "agent" | "agents">;
  /** Set if last known answers are kept. */
  readonly #cached: CachedReads | undefined;
  readonly #keeper: LeaseKeeper;
  readonly #homes: HomeCalls;
  #closing: Promise<void> | undefined;
  /** Tells the credentials that no session is left. */
  #withdraw: (() => void) | undefined;

  constructor(parameters: ConnectParameters) {
    const { world, options = {} } = parameters;
    const timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT;
    const ownership = new OwnershipSequence(world.entropy);
    const clock = world.monotonic;
    this.process = ownership.process;
    this.#router = new Router({
      endpoints: parameters.endpoints,
      dialer: parameters.dialer,
      trust: parameters.trust,
      credentials: parameters.credentials ?? { kind: "development" },
      world,
      hello: helloOf(parameters),
      inFlightMax: options.inFlightMax ?? CLIENT_IN_FLIGHT_DEFAULT,
      timeoutMs,
      nodeSilenceMs: CLIENT_NODE_SILENCE_MS,
      maxStalenessMs: parameters.maxStalenessMs ?? 0,
      zone: parameters.zone ?? "",
      onEvent: (event, isRegained) => {
        if (isRegained) this.#keeper.connected();
        this.#offerSession(parameters.credentials);
        options.onConnection?.(event);
      },
    });
    this.#shared = { router: this.#router, ownership, world, timeoutMs };
    const { watches } = this.#router;
    this.#calls = new DirectCalls({ invoker: this.#router, watches, ...this.#shared });
    const { get, list, resolve } = this.#calls;
    this.#keeper = new LeaseKeeper(world, this.#calls);
    const isConnected = () => this.#router.links.connected !== undefined;
    const isCached = options.cache === true;
    this.#resolve = isCached
      ? new CachedResolveCalls({ calls: resolve, cache: new AnswerCache(clock), isConnected })
      : resolve;
    this.#cached = isCached ? new CachedReads({ get, list, clock, isConnected }) : undefined;
    this.#homes = new HomeCalls({
      self: this,
      parameters,
      servers: (name, left) => this.call("regionServers", { name }, left),
      open: (servers) => connectCaller(parametersElsewhere(parameters, servers)),
      clock,
      scheduler: world.scheduler,
      timeoutMs,
    });
    this.#router.start();
  }

  get identities(): IdentityCalls {
    return this.#calls.identities;
  }

  get maps(): MapsCalls {
    return this.#calls.maps;
  }

  get governed(): GovernedCalls {
    return this.#calls.governed;
  }

  get relays(): RelayClient {
    return this.#calls.relays;
  }

  get status(): ClientStatus {
    const { links } = this.#router;
    const { connected } = links;
    const open = connected === undefined ? "connecting" : "connected";
    return {
      state: this.#closing === undefined ? open : "closed",
      endpoint: connected?.link.endpoint,
      inFlight: this.#router.inFlight,
      waiting: this.#router.waiting,
      leases: this.#keeper.count,
      nodes: links.status,
      boundedReads: this.#router.reads.counts,
      ...links.counts,
    };
  }

  get lastRingMap(): RingMap | undefined {
    return this.#router.leaders.map;
  }

  /** Resolves when the first connection is established. */
  async firstConnection(timeoutMs: number): Promise<void> {
    await this.#router.links.seed.link.first(timeoutMs);
  }

  getAgent(id: string | Uint8Array, options?: CallOptions) {
    if (goesHome(options)) {
      return this.#homes.read(options, (client, left) => client.getAgent(id, left), sourceHome);
    }
    return (this.#cached ?? this.#calls.get).agent(id, options);
  }

  getGateway(id: string | Uint8Array, options?: CallOptions) {
    if (goesHome(options)) {
      return this.#homes.read(options, (client, left) => client.getGateway(id, left), sourceHome);
    }
    return (this.#cached ?? this.#calls.get).gateway(id, options);
  }

  getAgentStored(id: string | Uint8Array, options?: CallOptions) {
    if (goesHome(options)) {
      return this.#homes.read(
        options,
        (client, left) => client.getAgentStored(id, left),
        sourceHome,
      );
    }
    return this.#calls.getAgentStored(id, options);
  }

  getGatewayStored(id: string | Uint8Array, options?: CallOptions) {
    if (goesHome(options)) {
      return this.#homes.read(
        options,
        (client, left) => client.getGatewayStored(id, left),
        sourceHome,
      );
    }
    return this.#calls.getGatewayStored(id, options);
  }

  resolveAgent(domain: string, options?: CallOptions) {
    if (goesHome(options)) {
      return this.#homes.read(
        options,
        (client, left) => client.resolveAgent(domain, left),
        ({ agentSource }) => agentSource?.home,
      );
    }
    return this.#resolve.agent(domain, options);
  }

  resolveAgents(domains: readonly string[], options?: CallOptions) {
    if (goesHome(options)) return this.#homes.resolveMany(domains, options);
    return this.#resolve.agents(domains, options);
  }

  resolveGateways(region: string, options?: ResolveGatewaysOptions) {
    if (goesHome(options)) {
      return this.#homes.list(
        region,
        options,
        (client, left) => client.resolveGateways(region, left),
      );
    }
    return (this.#cached ?? this.#calls.list).bestGateways(region, options);
  }

  listAgents(region: string, options?: ListOptions) {
    if (goesHome(options)) {
      return this.#homes.list(region, options, (client, left) => client.listAgents(region, left));
    }
    return this.#calls.listAgents(region, options);
  }

  listGateways(region: string, options?: ListOptions) {
    if (goesHome(options)) {
      return this.#homes.list(region, options, (client, left) => client.listGateways(region, left));
    }
    return this.#calls.listGateways(region, options);
  }

  allAgents(region: string, options: ListOptions = {}): AsyncIterableIterator<ListedAgent> {
    return allPages((page) => this.listAgents(region, page), options);
  }

  allGateways(region: string, options: ListOptions = {}): AsyncIterableIterator<ListedGateway> {
    return allPages((page) => this.listGateways(region, page), options);
  }

  registerAgent(agent: AgentInput, options?: RegisterOptions) {
    if (goesHome(options)) {
      return this.#homes.write(options, (client, left) => client.registerAgent(agent, left));
    }
    return this.#calls.registerAgent(agent, options);
  }

  registerGateway(gateway: GatewayInput, options?: RegisterOptions) {
    if (goesHome(options)) {
      return this.#homes.write(options, (client, left) => client.registerGateway(gateway, left));
    }
    return this.#calls.registerGateway(gateway, options);
  }

  registerMany(
    items: readonly RegisterItem[],
    options?: CallOptions & { readonly takeOver?: boolean },
  ) {
    if (goesHome(options)) return Promise.reject(manyAtHome());
    return this.#calls.registerMany(items, options);
  }

  renew(items: readonly RenewItem[], options?: CallOptions) {
    if (goesHome(options)) return this.#homes.renew(items, options);
    return this.#calls.renew(items, options);
  }

  deregisterAgent(id: string, options?: DeregisterOptions) {
    if (goesHome(options)) return this.#homes.deregister("agent", id, options);
    return this.#calls.deregisterAgent(id, options);
  }

  deregisterGateway(id: string, options?: DeregisterOptions) {
    if (goesHome(options)) return this.#homes.deregister("gateway", id, options);
    return this.#calls.deregisterGateway(id, options);
  }

  reportAgent(id: string, options: Omit<ReportOptions, "used">) {
    if (goesHome(options)) return this.#homes.report("agent", id, options);
    return this.#calls.reportAgent(id, options);
  }

  reportGateway(id: string, options: ReportOptions) {
    if (goesHome(options)) return this.#homes.report("gateway", id, options);
    return this.#calls.reportGateway(id, options);
  }

  keepAgent(agent: AgentInput, options?: KeepOptions) {
    if (goesHome(options)) {
      return this.#homes.write(options, (client, left) => client.keepAgent(agent, left));
    }
    return this.#keeper.keep({ kind: "agent", agent }, options);
  }

  keepGateway(gateway: GatewayInput, options?: KeepOptions) {
    if (goesHome(options)) {
      return this.#homes.write(options, (client, left) => client.keepGateway(gateway, left));
    }
    return this.#keeper.keep({ kind: "gateway", gateway }, options);
  }

  keepMany(items: readonly KeepItem[], options?: KeepOptions) {
    if (goesHome(options)) return Promise.reject(manyAtHome());
    return this.#keeper.keepMany(items, options);
  }

  nodeStatus(options?: CallOptions) {
    return this.#calls.nodeStatus(options);
  }

  watch(filter?: WatchFilter, options?: WatchOptions): Watch {
    return this.#calls.watch(filter, options);
  }

  cachedView<Kind extends RecordKindName>(
    filter?: RecordFilter & { readonly kind?: Kind },
    options?: CachedViewOptions,
  ): Promise<CachedView<Kind>> {
    return this.#calls.cachedView(filter, options);
  }

  delegate(evidence: CallerEvidence): DelegatedClient {
    return delegatedClient(evidence, this.#shared);
  }

  delegateCapability(capability: string, address = ""): Guarded<DelegatedClient> {
    return capabilityClient(capability, address, this.#shared);
  }

  watchRing(): RingWatch {
    return new RingMapWatch(this.#router.watches);
  }

  async ringMap(options?: CallOptions): Promise<RingMap> {
    const map = await this.#calls.ringMap(options);
    this.#router.ringMap(map);
    return map;
  }

  call<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    options?: CallOptions,
  ): Promise<ReplyOf<Name>> {
    return this.#calls.call(name, body, options);
  }

  async close(
    options: { readonly releaseLeases?: boolean; readonly timeoutMs?: number } = {},
  ): Promise<void> {
    this.#closing ??= this.#close(options);
    await this.#closing;
  }

  async #close(
    options: { readonly releaseLeases?: boolean; readonly timeoutMs?: number },
  ): Promise<void> {
    if (options.releaseLeases === true) {
      await this.#keeper.releaseAll(options.timeoutMs ?? RELEASE_MS_DEFAULT);
    }
    this.#keeper.close();
    this.governed.close();
    await this.#homes.close(options);
    this.#offerSession();
    await this.#router.close(new RegistryError("shutting_down", "The client is closed"));
  }

  /**
   * Offers the sessions to the credentials while there is one; certificates are renewed over it.
   */
  #offerSession(credentials?: Credentials): void {
    const isOpen = this.#closing === undefined && this.#router.links.connected !== undefined;
    if (isOpen === (this.#withdraw !== undefined)) return;
    this.#withdraw?.();
    this.#withdraw = isOpen && credentials?.kind === "certificate"
      ? credentials.onSession?.((order) => this.identities.renew(order))
      : undefined;
  }
}
