/** The routing of one caller: that of the client, with the caller's delegation on every request. */
import type { Input } from "../../../schemas/runtime/writer.ts";
import { RegistryError } from "../../base/errors.ts";
import type { World } from "../../base/world.ts";
import type { Partitioner } from "../../ring/partition.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import type { OperationName, RequestOf } from "../../wire/operations/mod.ts";
import type { Decode } from "../call.ts";
import type { CallOptions } from "../call_options.ts";
import type { ClusterRouting, Part } from "../cluster_routing.ts";
import type { Deadline } from "../deadline.ts";
import type { Invoker } from "../invoker.ts";
import type { Router } from "../router.ts";
import type {
  StartedWatch,
  WatchChoice,
  WatchMember,
  WatchRouting,
  WatchStart,
} from "../watch/watch_routing.ts";
import { callerClosed, type ClientDelegation } from "./delegation.ts";

/** Invokes operations as one caller. */
export class DelegatedInvoker implements Invoker {
  readonly #router: Router;
  readonly #delegation: ClientDelegation;

  constructor(router: Router, delegation: ClientDelegation) {
    this.#router = router;
    this.#delegation = delegation;
  }

  get cluster(): ClusterRouting | undefined {
    return this.#router.cluster;
  }

  deadline(options: CallOptions): Deadline {
    return this.#router.deadline(options);
  }

  invoke<Name extends OperationName, T>(
    name: Name,
    body: Input<RequestOf<Name>>,
    decode: Decode<T>,
    options?: CallOptions,
    part?: Part,
  ): Promise<T> {
    if (this.#delegation.isClosed) return Promise.reject(callerClosed());
    if (options?.home === true) return Promise.reject(notAtHome());
    return this.#router.invoke(name, body, decode, options, part, this.#delegation);
  }
}

/** Starts watches as one caller, and ends them with it. */
export class DelegatedWatches implements WatchRouting {
  readonly #routes: WatchRouting;
  readonly #delegation: ClientDelegation;
  readonly #members = new Set<WatchMember>();

  constructor(routes: WatchRouting, delegation: ClientDelegation) {
    this.#routes = routes;
    this.#delegation = delegation;
  }

  get world(): World {
    return this.#routes.world;
  }

  get timeoutMs(): number {
    return this.#routes.timeoutMs;
  }

  get clusterId(): Uint8Array | undefined {
    return this.#routes.clusterId;
  }

  get partitioner(): Partitioner | undefined {
    return this.#routes.partitioner;
  }

  get ringMap(): RingMap | undefined {
    return this.#routes.ringMap;
  }

  join(member: WatchMember): () => void {
    const leave = this.#routes.join(member);
    this.#members.add(member);
    return () => {
      this.#members.delete(member);
      leave();
    };
  }

  choose(choice: WatchChoice): number | undefined {
    return this.#routes.choose(choice);
  }

  start(nodeId: number, start: WatchStart): StartedWatch {
    return this.#routes.start(nodeId, { ...start, delegation: this.#delegation });
  }

  missed(partition: number, nodeId: number): void {
    this.#routes.missed(partition, nodeId);
  }

  /** Ends the watches of the caller. */
  close(): void {
    for (const member of [...this.#members]) member.closed(callerClosed());
  }
}

/** Returns the refusal of the option `home` of a delegated call. */
function notAtHome(): RegistryError {
  return new RegistryError(
    "invalid_argument",
    "home must not be set for a delegated call: a front acts for its callers in its own region. " +
      "Ask a front of the home region, which answers and refusals name",
    { field: "home" },
  );
}
