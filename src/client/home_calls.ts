/**
 * Calls with the option `home`: they are answered by the region that the record belongs to. A read finds
 * the home by the mirror that the client's own registry has of the record; a write goes home when it is
 * refused with `foreign_region`. A region's servers are those in `ConnectParameters.homes`, else those
 * that the client's registry knows. The client of a region is opened at the first call and kept.
 *
 * The region decides by itself whom it serves. Its answers are never mirrors.
 */
import type { RegionServersReply } from "../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { MonotonicClock, Scheduler } from "../base/world.ts";
import { hostOf } from "../../transport/host_address.ts";
import type { Endpoint, Trust } from "../../transport/transport.ts";
import type { RecordSource } from "./answer_types.ts";
import type { Credentials } from "./credentials.ts";
import { Deadline } from "./deadline.ts";
import type { ServedKind } from "./served_kind.ts";
import type {
  CallOptions,
  Client,
  ConnectParameters,
  HomeAccess,
  RenewFailure,
  RenewItem,
  ResolveOutcome,
} from "./types.ts";

/** Dependencies of {@link HomeCalls}. */
export interface HomeCallsParts {
  /** The client whose calls go home. */
  readonly self: Client;
  /** The parameters of that client. */
  readonly parameters: Pick<ConnectParameters, "trust" | "credentials" | "homes">;
  /** Asks the client's registry for the servers of a region; none if it is its own. */
  readonly servers: (region: string, options: CallOptions) => Promise<RegionServersReply>;
  /** Connects to other servers. */
  readonly open: (servers: HomeServers) => Promise<Client>;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  /** Default timeout of a call, ms. */
  readonly timeoutMs: number;
}

/** Addresses of another region's servers, what verifies them, and the client's credentials there. */
export type HomeServers = Pick<ConnectParameters, "endpoints" | "trust" | "credentials">;

/** Asks a client. */
type Ask<T, Options> = (client: Client, options: Options) => Promise<T>;

/** Refusals of a region after which its servers are looked up again, unless a session is open. */
const NOT_REACHED: readonly string[] = [
  ...["connection_lost", "deadline_exceeded", "overloaded"],
  ...["tls_failed", "unauthenticated", "wrong_cluster"],
];

/** Reports whether a call goes to the home region. */
export function goesHome(options: CallOptions | undefined): options is CallOptions {
  return options?.home === true;
}

/** Returns the refusal of the option `home` of a call that takes many records. */
export function manyAtHome(): RegistryError {
  return new RegistryError(
    "invalid_argument",
    "home must not be set for many records at once: pass them one by one",
    { field: "home" },
  );
}

/** The calls of one client to other regions. */
export class HomeCalls {
  readonly #parts: HomeCallsParts;
  readonly #clients = new Map<string, Promise<Client>>();
  /** Clients that get no further calls, until those in progress and the leases they keep have ended. */
  readonly #retired = new Set<Client>();
  #isClosed = false;

  constructor(parts: HomeCallsParts) {
    this.#parts = parts;
  }

  /** Returns a record as its home has it. @param homeOf the home that an answer names. */
  async read<T>(
    options: CallOptions,
    ask: Ask<T, CallOptions>,
    homeOf: (answer: T) => string | undefined,
  ): Promise<T> {
    const deadline = this.#deadlineOf(options);
    let home = options.region;
    if (home === undefined) {
      const answer = await ask(this.#parts.self, deadline.options());
      home = homeOf(answer);
      if (home === undefined) return answer;
    }
    return await this.#there(home, deadline, ask);
  }

  /** Lists records of a region, as it has them. */
  async list<T, Options extends CallOptions>(
    region: string,
    options: Options,
    ask: Ask<T, Options>,
  ): Promise<T> {
    return await this.#there(region, this.#deadlineOf(options), ask);
  }

  /** Writes a record, where the registry says that it belongs, or in the region that is named. */
  async write<T, Options extends CallOptions>(
    options: Options,
    ask: Ask<T, Options>,
  ): Promise<T> {
    const deadline = this.#deadlineOf(options);
    if (options.region !== undefined) return await this.#there(options.region, deadline, ask);
    try {
      return await ask(this.#parts.self, deadline.options() as Options);
    } catch (error) {
      const { homeRegion } = toRegistryError(error).fields;
      if (homeRegion === undefined) throw error;
      return await this.#there(homeRegion, deadline, ask);
    }
  }

  /** Resolves domains: those of agents of other regions are resolved there. */
  async resolveMany(domains: readonly string[], options: CallOptions): Promise<ResolveOutcome[]> {
    const deadline = this.#deadlineOf(options);
    const resolve: Ask<ResolveOutcome[], CallOptions> = (client, left) =>
      client.resolveAgents(domains, left);
    if (options.region !== undefined) return await this.#there(options.region, deadline, resolve);
    const outcomes = await resolve(this.#parts.self, deadline.options());
    const homes = outcomes.map(({ found }) => found?.agentSource?.home);
    await this.#perHome(homes, async (home, places) => {
      const some = places.map((place) => domains[place]!);
      const answers = await this.#there(
        home,
        deadline,
        (client, left) => client.resolveAgents(some, left),
      );
      for (const [at, place] of places.entries()) outcomes[place] = answers[at]!;
    });
    return outcomes;
  }

  /** Renews leases: those of records of other regions are renewed there. */
  async renew(items: readonly RenewItem[], options: CallOptions) {
    const deadline = this.#deadlineOf(options);
    if (options.region !== undefined) {
      return await this.#there(
        options.region,
        deadline,
        (client, left) => client.renew(items, left),
      );
    }
    const here = await this.#parts.self.renew(items, deadline.options());
    let { renewed, renewAfterMs } = here;
    const failures: RenewFailure[] = here.failures.filter(({ error }) =>
      error.fields.homeRegion === undefined
    );
    const foreign = here.failures.filter((failure) => !failures.includes(failure));
    const homes = foreign.map(({ error }) => error.fields.homeRegion);
    await this.#perHome(homes, async (home, places) => {
      const positions = places.map((place) => foreign[place]!.position);
      const some = positions.map((position) => items[position]!);
      const there = await this.#there(home, deadline, (client, left) => client.renew(some, left));
      renewed += there.renewed;
      renewAfterMs = Math.min(renewAfterMs, there.renewAfterMs);
      for (const { position, error } of there.failures) {
        failures.push({ position: positions[position]!, error });
      }
    });
    return { renewed, renewAfterMs, failures };
  }

  /** Deregisters a record at its home. */
  deregister(
    kind: ServedKind,
    id: string,
    options: Parameters<Client["deregisterGateway"]>[1] & object,
  ) {
    return this.write(
      options,
      (client, left) =>
        kind === "agent" ? client.deregisterAgent(id, left) : client.deregisterGateway(id, left),
    );
  }

  /** Reports on a record at its home. */
  report(kind: ServedKind, id: string, options: Parameters<Client["reportGateway"]>[1]) {
    return this.write(
      options,
      (client, left) =>
        kind === "agent" ? client.reportAgent(id, left) : client.reportGateway(id, left),
    );
  }

  /** Closes the clients of other regions. */
  async close(options: Parameters<Client["close"]>[0]): Promise<void> {
    this.#isClosed = true;
    const clients = [...this.#clients.values(), ...this.#retired];
    this.#clients.clear();
    this.#retired.clear();
    await Promise.all(clients.map(async (opening) => {
      // A client that could not be opened needs no closing; whoever asked for it has got the error.
      const client = await Promise.resolve(opening).catch(() => undefined);
      if (client !== this.#parts.self) await client?.close(options);
    }));
  }

  #deadlineOf({ home: _, region: __, ...options }: CallOptions): Deadline {
    return new Deadline(this.#parts.clock, options, this.#parts.timeoutMs);
  }

  /** Calls `ask` at once for each region, with the places of `homes` that name it. */
  async #perHome(
    homes: readonly (string | undefined)[],
    ask: (home: string, places: readonly number[]) => Promise<void>,
  ): Promise<void> {
    const places = new Map<string, number[]>();
    for (const [place, home] of homes.entries()) {
      if (home === undefined) continue;
      const others = places.get(home);
      if (others === undefined) places.set(home, [place]);
      else others.push(place);
    }
    await Promise.all(Array.from(places, ([home, some]) => ask(home, some)));
  }

  /** Asks a region for its own records. */
  async #there<T, Options extends CallOptions>(
    home: string,
    deadline: Deadline,
    ask: Ask<T, Options>,
  ): Promise<T> {
    const client = await this.#inTime(home, this.#clientOf(home), deadline);
    try {
      return await ask(client, { ...deadline.options(), region: home } as Options);
    } catch (cause) {
      if (client === this.#parts.self) throw cause;
      const failure = failureAt(home, cause);
      const isReached = client.status.state === "connected";
      if (!isReached && NOT_REACHED.includes(failure.code)) this.#retire(home, client);
      throw failure;
    } finally {
      this.#closeRetired();
    }
  }

  /** Waits for a client, which others may wait for too, until the deadline of one call. */
  async #inTime<T>(home: string, opening: Promise<T>, deadline: Deadline): Promise<T> {
    const ended = Promise.withResolvers<never>();
    const { signal, leftMs } = deadline;
    const timer = this.#parts.scheduler.after(leftMs, () => {
      const late = new RegistryError("deadline_exceeded", "no session within the time of the call");
      ended.reject(failureAt(home, late));
    });
    const cancel = () =>
      ended.reject(
        new RegistryError("canceled", "The call was canceled by its caller", {}, signal?.reason),
      );
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await Promise.race([opening, ended.promise]);
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", cancel);
    }
  }

  #clientOf(home: string): Promise<Client> {
    const known = this.#clients.get(home);
    if (known !== undefined) return known;
    const opening = this.#open(home);
    this.#clients.set(home, opening);
    opening.catch(() => this.#clients.delete(home));
    return opening;
  }

  async #open(home: string): Promise<Client> {
    const { self, parameters, servers, open, timeoutMs } = this.#parts;
    const access = parameters.homes?.[home] ?? {};
    const known = access.endpoints === undefined
      ? await servers(home, { timeoutMs })
      : { servers: [], authorities: "" };
    const endpoints = access.endpoints ?? known.servers.map(({ address }) => endpointOf(address));
    if (endpoints.length === 0) return self;
    const credentials = access.credentials ?? credentialsElsewhere(parameters.credentials);
    if (this.#isClosed) throw new RegistryError("shutting_down", "The client is closed");
    try {
      return await open({
        endpoints,
        trust: trustIn(access, known) ?? parameters.trust,
        ...(credentials === undefined ? {} : { credentials }),
      });
    } catch (cause) {
      throw failureAt(home, cause);
    }
  }

  /** Looks a region's servers up again at the next call. */
  #retire(home: string, client: Client): void {
    const opening = this.#clients.get(home);
    void opening?.then((current) => {
      if (current !== client) return;
      if (this.#clients.get(home) === opening) this.#clients.delete(home);
      this.#retired.add(client);
      this.#closeRetired();
    });
  }

  /** Closes the retired clients that have nothing left to do. */
  #closeRetired(): void {
    for (const client of this.#retired) {
      const { leases, inFlight, waiting } = client.status;
      if (leases + inFlight + waiting > 0) continue;
      this.#retired.delete(client);
      void client.close();
    }
  }
}

/** Returns a failure of a region that was asked as the home, with the region's name. */
function failureAt(home: string, cause: unknown): RegistryError {
  const { code, message, fields } = toRegistryError(cause);
  const isRefused = code === "unauthenticated" || code === "permission_denied";
  const what = isRefused
    ? `Region ${home} does not serve this client's identity`
    : `Region ${home}, which was asked as the home`;
  return new RegistryError(
    code,
    `${what}: ${message}`,
    { ...fields, homeRegion: home },
    cause,
  );
}

/** Returns what verifies a region's servers; undefined if nothing is known of them. */
function trustIn({ trust }: HomeAccess, known: RegionServersReply): Trust | undefined {
  if (trust !== undefined) return trust;
  if (known.authorities !== "") return { kind: "ca", pem: [known.authorities] };
  const sha256 = known.servers.flatMap(({ pins }) => pins);
  return sha256.length === 0 ? undefined : { kind: "pins", sha256 };
}

/** Returns credentials for another region, without tokens and renewals, which only the own one issues. */
function credentialsElsewhere(own: Credentials | undefined): Credentials | undefined {
  if (own?.kind !== "certificate") return own;
  const { tokens: _, onSession: __, ...credentials } = own;
  return credentials;
}

function endpointOf(address: string): Endpoint {
  return { host: hostOf(address), port: Number(address.slice(address.lastIndexOf(":") + 1)) };
}

/** Returns the home that an answer names. */
export function sourceHome({ source }: { readonly source?: RecordSource }): string | undefined {
  return source?.home;
}
