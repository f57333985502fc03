/** The client's calls on records of each kind, so that one command serves all of them. */
import type {
  CallOptions,
  Client,
  Deregistered,
  DeregisterOptions,
  KeepOptions,
  Lease,
  ListOptions,
  Page,
  Receipt,
  RecordSource,
  Registered,
  RegisterOptions,
  RegistryCalls,
  Reported,
} from "../client/mod.ts";
import type { InputOf } from "../record/kinds.ts";
import type { RecordInfo } from "../record/plain.ts";

/** A record with the remaining time of its lease. */
export interface Leased {
  readonly record: RecordInfo;
  readonly remainingMs: number;
  /** Present on a record of another region. */
  readonly source?: RecordSource;
}

/** The calls on one kind of record. */
interface KindCalls<Input> {
  register(client: RegistryCalls, record: Input, options: RegisterOptions): Promise<Registered>;
  keep(client: Client, record: Input, options: KeepOptions): Promise<Lease>;
  get(
    client: RegistryCalls,
    id: string,
    options: CallOptions,
  ): Promise<Leased & { readonly receipts: readonly Receipt[] }>;
  list(client: RegistryCalls, region: string, options: ListOptions): Promise<Page<Leased>>;
  report(
    client: RegistryCalls,
    id: string,
    options: CallOptions & { readonly draining: boolean },
  ): Promise<Reported>;
  deregister(client: RegistryCalls, id: string, options: DeregisterOptions): Promise<Deregistered>;
}

/** The calls by the name of the kind, which the client's methods and answers have in their names. */
export const RECORD_CALLS: {
  readonly agent: KindCalls<InputOf<"agent">>;
  readonly gateway: KindCalls<InputOf<"gateway">>;
} = {
  agent: {
    register: (client, agent, options) => client.registerAgent(agent, options),
    keep: (client, agent, options) => client.keepAgent(agent, options),
    get: async (client, id, options) => {
      const { agent, ...answer } = await client.getAgent(id, options);
      return { record: agent, ...answer };
    },
    list: async (client, region, options) => {
      const page = await client.listAgents(region, options);
      return pageOf(page, ({ agent }) => agent);
    },
    report: (client, id, options) => client.reportAgent(id, options),
    deregister: (client, id, options) => client.deregisterAgent(id, options),
  },
  gateway: {
    register: (client, gateway, options) => client.registerGateway(gateway, options),
    keep: (client, gateway, options) => client.keepGateway(gateway, options),
    get: async (client, id, options) => {
      const { gateway, ...answer } = await client.getGateway(id, options);
      return { record: gateway, ...answer };
    },
    list: async (client, region, options) => {
      const page = await client.listGateways(region, options);
      return pageOf(page, ({ gateway }) => gateway);
    },
    report: (client, id, options) => client.reportGateway(id, options),
    deregister: (client, id, options) => client.deregisterGateway(id, options),
  },
};

/** The name of a kind that has commands. */
export type CommandKind = keyof typeof RECORD_CALLS;

/** Returns a page of records, whatever the client names them. */
export function pageOf<Item extends Pick<Leased, "remainingMs" | "source">>(
  page: Page<Item>,
  recordOf: (item: Item) => RecordInfo,
): Page<Leased> {
  const items = page.items.map((item) => ({
    record: recordOf(item),
    remainingMs: item.remainingMs,
    ...(item.source === undefined ? {} : { source: item.source }),
  }));
  return { ...page, items };
}
