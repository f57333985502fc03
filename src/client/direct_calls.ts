/**
 * The typed calls of a client to its own registry, whoever makes them: the client itself, or one of
 * the callers that it acts for.
 */
import type { Input } from "../../schemas/runtime/writer.ts";
import type { World } from "../base/world.ts";
import type { RecordKindName } from "../record/kinds.ts";
import type { OperationName, ReplyOf, RequestOf } from "../wire/operations/mod.ts";
import { GetCalls } from "./calls/get.ts";
import { IdentityCalls } from "./calls/identity.ts";
import { allPages, ListCalls } from "./calls/list.ts";
import { StatusCalls } from "./calls/node.ts";
import { OwnCalls } from "./calls/own.ts";
import { RegisterCalls } from "./calls/register.ts";
import { MapsCalls } from "./calls/maps.ts";
import { RelayCalls } from "./calls/relays.ts";
import { ResolveCalls } from "./calls/resolve.ts";
import { GovernedCalls } from "./governed/governed_client.ts";
import { ask, type Invoker, type OperationCaller } from "./invoker.ts";
import type { OwnershipSequence } from "./ownership.ts";
import type { AgentInput, GatewayInput } from "./records.ts";
import type {
  CachedView,
  CachedViewOptions,
  CallOptions,
  DeregisterOptions,
  ListedAgent,
  ListedGateway,
  ListOptions,
  RecordFilter,
  RegisterItem,
  RegisterOptions,
  RegistryCalls,
  RenewItem,
  ReportOptions,
  ResolveGatewaysOptions,
  Watch,
  WatchFilter,
  WatchOptions,
} from "./types.ts";
import type { WatchRouting } from "./watch/watch_routing.ts";
import { openView, startWatch } from "./watch/watches.ts";

/** Dependencies of {@link DirectCalls}. */
export interface DirectCallsParts {
  readonly invoker: Invoker;
  readonly watches: WatchRouting;
  readonly ownership: OwnershipSequence;
  readonly world: World;
  /** Default timeout of a call, ms. */
  readonly timeoutMs: number;
}

/** The typed calls by one invoker. */
export class DirectCalls implements RegistryCalls, OperationCaller {
  readonly identities: IdentityCalls;
  readonly governed: GovernedCalls;
  readonly maps: MapsCalls;
  readonly relays: RelayCalls;
  readonly get: GetCalls;
  readonly resolve: ResolveCalls;
  readonly list: ListCalls;
  readonly register: RegisterCalls;
  readonly own: OwnCalls;
  readonly #node: StatusCalls;
  readonly #invoker: Invoker;
  readonly #watches: WatchRouting;

  constructor({ invoker, watches, ownership, world, timeoutMs }: DirectCallsParts) {
    this.#invoker = invoker;
    this.#watches = watches;
    this.get = new GetCalls(invoker);
    this.list = new ListCalls(invoker);
    this.resolve = new ResolveCalls(invoker, this.get);
    this.own = new OwnCalls(invoker, ownership, this.get);
    const times = { clock: world.monotonic, timeoutMs };
    this.register = new RegisterCalls(invoker, ownership, times);
    this.identities = new IdentityCalls(invoker);
    this.governed = new GovernedCalls(invoker, world);
    this.maps = new MapsCalls({ invoker, ownership, list: this.list, ...times });
    this.relays = new RelayCalls(invoker, { entropy: world.entropy, ...times });
    this.#node = new StatusCalls(invoker);
  }

  getAgent(id: string | Uint8Array, options?: CallOptions) {
    return this.get.agent(id, options);
  }

  getGateway(id: string | Uint8Array, options?: CallOptions) {
    return this.get.gateway(id, options);
  }

  getAgentStored(id: string | Uint8Array, options?: CallOptions) {
    return this.get.agentStored(id, options);
  }

  getGatewayStored(id: string | Uint8Array, options?: CallOptions) {
    return this.get.gatewayStored(id, options);
  }

  resolveAgent(domain: string, options?: CallOptions) {
    return this.resolve.agent(domain, options);
  }

  resolveAgents(domains: readonly string[], options?: CallOptions) {
    return this.resolve.agents(domains, options);
  }

  resolveGateways(region: string, options?: ResolveGatewaysOptions) {
    return this.list.bestGateways(region, options);
  }

  listAgents(region: string, options?: ListOptions) {
    return this.list.agents(region, options);
  }

  listGateways(region: string, options?: ListOptions) {
    return this.list.gateways(region, options);
  }

  allAgents(region: string, options: ListOptions = {}): AsyncIterableIterator<ListedAgent> {
    return allPages((page) => this.listAgents(region, page), options);
  }

  allGateways(region: string, options: ListOptions = {}): AsyncIterableIterator<ListedGateway> {
    return allPages((page) => this.listGateways(region, page), options);
  }

  registerAgent(agent: AgentInput, options?: RegisterOptions) {
    return this.register.one({ kind: "agent", agent }, options);
  }

  registerGateway(gateway: GatewayInput, options?: RegisterOptions) {
    return this.register.one({ kind: "gateway", gateway }, options);
  }

  registerMany(
    items: readonly RegisterItem[],
    options?: CallOptions & { readonly takeOver?: boolean },
  ) {
    return this.register.many(items, options);
  }

  renew(items: readonly RenewItem[], options?: CallOptions) {
    return this.own.renew(items, options);
  }

  deregisterAgent(id: string, options?: DeregisterOptions) {
    return this.own.deregister("agent", id, options);
  }

  deregisterGateway(id: string, options?: DeregisterOptions) {
    return this.own.deregister("gateway", id, options);
  }

  reportAgent(id: string, options: Omit<ReportOptions, "used">) {
    return this.own.report("agent", id, options);
  }

  reportGateway(id: string, options: ReportOptions) {
    return this.own.report("gateway", id, options);
  }

  nodeStatus(options?: CallOptions) {
    return this.#node.status(options);
  }

  ringMap(options?: CallOptions) {
    return this.#node.ringMap(options);
  }

  watch(filter: WatchFilter = {}, options: WatchOptions = {}): Watch {
    return startWatch(this.#watches, filter, options, this);
  }

  async cachedView<Kind extends RecordKindName>(
    filter: RecordFilter & { readonly kind?: Kind } = {},
    options: CachedViewOptions = {},
  ): Promise<CachedView<Kind>> {
    return await openView(this.#watches, filter, options, this) as CachedView<Kind>;
  }

  call<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    options?: CallOptions,
  ): Promise<ReplyOf<Name>> {
    return ask(this.#invoker, name, body, options);
  }
}
