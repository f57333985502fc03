/**
 * The health checking protocol of gRPC. All services have the health of the front: it serves while it has
 * a connection to the registry, and not once it stops.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
  type HealthCheckResponseSchema,
} from "../../../schemas/proto/gen/grpc/health/v1/health_pb.ts";
import { RegistryError } from "../../base/errors.ts";
import { GRPC_HEALTH_LOOK_MS } from "../../base/limits.ts";
import type { Scheduler } from "../../base/world.ts";
import { type GrpcService, implement } from "../service.ts";

/** Options of {@link healthService}. */
export interface HealthOptions {
  /** The names of the services whose health is told, beside that of the server, whose name is empty. */
  readonly names: readonly string[];
  /** Reports whether the front can serve now. */
  readonly isServing: () => boolean;
  readonly scheduler: Scheduler;
}

/** Returns the service `grpc.health.v1.Health`. */
export function healthService({ names, isServing, scheduler }: HealthOptions): GrpcService {
  const known = new Set(["", ...names]);
  const statusNow = () => isServing() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  return implement(Health, {
    check: ({ service }) => {
      if (known.has(service)) return { status: statusNow() };
      throw new RegistryError("not_found", "There is no service of this name");
    },
    list: () => ({
      statuses: Object.fromEntries([...known].map((name) => [name, { status: statusNow() }])),
    }),
    watch: async function* (
      { service },
      { signal },
    ): AsyncGenerator<MessageInitShape<typeof HealthCheckResponseSchema>> {
      let last: ServingStatus | undefined;
      while (!signal.aborted) {
        const status = known.has(service) ? statusNow() : ServingStatus.SERVICE_UNKNOWN;
        if (status !== last) yield { status };
        last = status;
        await passed(GRPC_HEALTH_LOOK_MS, scheduler, signal);
      }
    },
  });
}

/** Resolves after a time, or when the signal ends. */
function passed(delayMs: number, scheduler: Scheduler, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      timer.cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = scheduler.after(delayMs, end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
