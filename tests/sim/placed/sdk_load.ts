/** The clients of a simulated cluster, and what they work on. */
import { SeededEntropy } from "../../../src/base/prng.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import type { SimWorld } from "../world.ts";
import type { LeasePromise } from "./kept_lease.ts";
import type { PlacedPlan } from "./plan.ts";
import { SdkClient } from "./sdk_client.ts";
import type { SdkAnswer, SdkCall, SdkCallKind } from "./sdk_history.ts";
import { ClientWatches } from "./client_watches.ts";
import type { WatchTruth } from "./watch_truth.ts";
import type { SimWire } from "./wire.ts";

/** Addresses of machines that are given to a client. */
const ENDPOINTS_MAX = 3;
/** The region of all records. */
const REGION = "eu";
const GATEWAYS = 3;
/** The age that reads accept once nothing moves, ms. */
const SETTLED_STALENESS_MS = 100;

/** The parts of a cluster that the load uses. */
export interface SdkLoadParts {
  readonly world: SimWorld;
  readonly wire: SimWire;
  readonly plan: PlacedPlan;
  readonly truth: WatchTruth;
  readonly called: (call: SdkCall) => void;
  readonly promised: (promise: LeasePromise) => void;
  readonly answered: (answer: SdkAnswer) => void;
}

/** The clients of a run. */
export class SdkLoad {
  readonly clients: readonly SdkClient[];
  /** UUIDs of agents. */
  readonly agents: readonly string[];
  readonly domains: readonly string[];
  readonly gateways: readonly string[];
  /** UUIDs of the agents that clients keep alive. */
  readonly kept: readonly string[];
  /** Calls that have begun, and those that were answered with what was asked. */
  called = 0;
  well = 0;
  /** Set while nothing happens in the cluster: clients work slowly then. */
  isCalm = false;
  #lastPlace = 0;
  #lastValue = 0;

  constructor({ world, wire, plan, truth, called, answered, promised }: SdkLoadParts) {
    const entropy = new SeededEntropy(plan.seed ^ 0x10ad);
    const { agents, bounded, clients, domains, keptTtlMs, thinkMs, timeoutMs } = plan.load;
    this.agents = Array.from({ length: agents }, (_, number) => idOf(0x40, number));
    this.gateways = Array.from({ length: GATEWAYS }, (_, number) => idOf(0x60, number));
    this.domains = Array.from({ length: domains }, (_, number) => `d${number}.example`);
    this.kept = clients.map((_, number) => idOf(0x50, number));
    const isCalm = () => this.isCalm;
    const shared = {
      kept: this.kept,
      promised,
      world,
      region: REGION,
      wire,
      agents: this.agents,
      domains: this.domains,
      gateways: this.gateways,
      nodes: plan.machines.map(({ address }) => address),
      clientCount: clients.length,
      get isCalm() {
        return isCalm();
      },
      nextPlace: () => ++this.#lastPlace,
      nextValue: () => ++this.#lastValue,
      called: (call: SdkCall) => {
        this.called++;
        called(call);
      },
      answered: (answer: SdkAnswer) => {
        if (answer.end === "ok" || answer.end === "not_found") this.well++;
        answered(answer);
      },
    };
    const watching = new SeededEntropy(plan.seed ^ 0x3a7c5);
    const watchesOf = (number: number) =>
      new ClientWatches({
        ...{ number, world, truth, agents: this.agents, partitionCount: plan.partitionCount },
        entropy: new SeededEntropy(watching.uint32()),
        leases: plan.leases,
      });
    this.clients = clients.map((client, number) =>
      new SdkClient(shared, {
        ...client,
        silentAgents: number === 0 ? plan.silentAgents : 0,
        watches: plan.areWatched ? watchesOf(number) : undefined,
        number,
        bounded,
        seed: entropy.uint32(),
        thinkMs,
        timeoutMs,
        keptTtlMs,
        // A client that starts anew must know one that has not been removed.
        endpoints: plan.reshapesMs === undefined
          ? 1 + Math.floor(entropy.unit() * ENDPOINTS_MAX)
          : plan.machines.length,
      })
    );
  }

  start(): void {
    for (const client of this.clients) client.start();
  }

  /** Lets all clients end their calls and make no more. */
  stop(): void {
    for (const client of this.clients) client.stop();
  }

  /** Whether all have ended their calls. */
  get isIdle(): boolean {
    return this.clients.every(({ isIdle, open }) => isIdle && open.size === 0);
  }

  /** Lets every idle client read everything, one call after another, accepting some age or none. */
  readAll({ isBounded = false } = {}): void {
    const calls: [SdkCallKind, string][] = [
      ...this.agents.map((id): [SdkCallKind, string] => ["get", id]),
      ...this.domains.map((domain): [SdkCallKind, string] => ["resolve", domain]),
      ...this.kept.map((id): [SdkCallKind, string] => ["get_kept", id]),
      ["resolve_many", ""],
      ["list", ""],
      ["gateways", ""],
    ];
    const maxStalenessMs = isBounded ? SETTLED_STALENESS_MS : 0;
    for (const client of this.clients) {
      const next = (at: number) => {
        const call = calls[at];
        if (call === undefined) return;
        const [kind, about] = call;
        client.ask({ kind, about, maxStalenessMs }, () => next(at + 1));
      };
      next(0);
    }
  }
}

function idOf(kind: number, number: number): string {
  const id = new Uint8Array(16).fill(kind);
  id[15] = number;
  return formatUuid(id);
}
