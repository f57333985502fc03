/**
 * The gRPC face of the registry: finds the method of a call, admits it, and runs it (call.ts). It holds
 * no state that another front does not have. Connections, streams and headers are bounded by the
 * listener (src/front).
 */
import {
  GRPC_IN_FLIGHT_MAX,
  GRPC_INCOMPLETE_MAX,
  GRPC_STREAMS_MAX,
  GRPC_UNTAKEN_BYTES_MAX,
} from "../base/limits.ts";
import { RegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import { GrpcCall } from "./call.ts";
import type { CallStream } from "./call_stream.ts";
import type { GrpcCallers } from "./callers.ts";
import { GrpcMetrics, type MethodLabels, UNKNOWN_METHOD } from "./metrics.ts";
import type { GrpcMethod, GrpcService } from "./service.ts";
import { GrpcError, type GrpcStatus, statusOf, trailersOf } from "./status.ts";

/** Options of {@link GrpcApp}. */
export interface GrpcAppOptions {
  readonly services: readonly GrpcService[];
  /** Gives each caller the client that acts for it. */
  readonly callers: GrpcCallers;
  readonly world: World;
  readonly logger: Logger;
  /** Default: {@link GRPC_IN_FLIGHT_MAX}. */
  readonly inFlightMax?: number;
  /** Default: {@link GRPC_STREAMS_MAX}. */
  readonly streamsMax?: number;
  /** Default: {@link GRPC_INCOMPLETE_MAX}. */
  readonly incompleteMax?: number;
  /** Default: {@link GRPC_UNTAKEN_BYTES_MAX}. */
  readonly untakenBytesMax?: number;
}

/** A method and the labels that its calls are counted by. */
interface Routed {
  readonly method: GrpcMethod;
  readonly labels: MethodLabels;
}

/** The face. */
export class GrpcApp {
  readonly #options: GrpcAppOptions;
  readonly #methods = new Map<string, Routed>();
  readonly metrics = new GrpcMetrics();
  #inFlight = 0;
  /** Those of them that are not unary. */
  #streams = 0;
  #untakenBytes = 0;
  /** Calls whose request has not arrived, the oldest first. */
  readonly #incomplete = new Set<GrpcCall>();

  constructor(options: GrpcAppOptions) {
    this.#options = options;
    for (const { descriptor, methods } of options.services) {
      for (const method of methods) {
        const labels = { grpc_service: descriptor.typeName, grpc_method: method.descriptor.name };
        this.#methods.set(method.path, { method, labels });
      }
    }
    this.metrics.addGauge("grpc_calls_in_flight", "Calls being answered.", () => this.#inFlight);
  }

  /** Answers the call on a stream. Never throws. */
  serve(stream: CallStream): void {
    const { callers, world } = this.#options;
    const startedMs = world.monotonic.nowMs();
    const found = this.#methods.get(stream.path);
    if (found === undefined) {
      return this.#refuse(stream, UNKNOWN_METHOD, unknownMethod(stream.path));
    }
    const { method, labels } = found;
    const isUnary = method.descriptor.methodKind === "unary";
    let isAdmitted = false;
    const call = new GrpcCall({
      method,
      stream,
      callers,
      world,
      admit: () => {
        this.#admit(call, isUnary);
        isAdmitted = true;
      },
      hold: (byteCount) => this.#hold(byteCount),
      ended: (status) => {
        this.#incomplete.delete(call);
        if (isAdmitted) {
          this.#inFlight--;
          if (!isUnary) this.#streams--;
        }
        const seconds = (world.monotonic.nowMs() - startedMs) / 1_000;
        this.#finished(labels, status, isUnary ? seconds : undefined);
      },
    });
    this.#await(call);
    call.begin();
  }

  /** Waits for the request of a call; if too many are waited for, the oldest is given up. */
  #await(call: GrpcCall): void {
    const { incompleteMax = GRPC_INCOMPLETE_MAX } = this.#options;
    if (this.#incomplete.size >= incompleteMax) {
      const [oldest] = this.#incomplete;
      oldest?.refuse(new RegistryError("overloaded", "Too many requests have not arrived"));
    }
    this.#incomplete.add(call);
  }

  #admit(call: GrpcCall, isUnary: boolean): void {
    const { inFlightMax = GRPC_IN_FLIGHT_MAX, streamsMax = GRPC_STREAMS_MAX } = this.#options;
    this.#incomplete.delete(call);
    if (this.#inFlight >= inFlightMax) {
      throw new RegistryError("overloaded", "Too many calls are in flight");
    }
    if (!isUnary) {
      if (this.#streams >= streamsMax) {
        throw new RegistryError("overloaded", "Too many streams are open");
      }
      this.#streams++;
    }
    this.#inFlight++;
  }

  /** Counts the bytes of an answer until the function is called that it returns. */
  #hold(byteCount: number): () => void {
    const { untakenBytesMax = GRPC_UNTAKEN_BYTES_MAX } = this.#options;
    if (this.#untakenBytes + byteCount > untakenBytesMax) {
      throw new RegistryError("overloaded", "Too many answers have not been taken");
    }
    this.#untakenBytes += byteCount;
    return () => void (this.#untakenBytes -= byteCount);
  }

  #refuse(stream: CallStream, labels: MethodLabels, error: unknown): void {
    const status = statusOf(error);
    stream.receive({ data() {}, end() {}, closed() {} });
    stream.end(trailersOf(status));
    this.#finished(labels, status, undefined);
  }

  #finished(method: MethodLabels, status: GrpcStatus, seconds: number | undefined): void {
    const { code, error } = status;
    this.metrics.finished({ method, code, seconds });
    const { logger } = this.#options;
    const facts = { service: method.grpc_service, method: method.grpc_method, code };
    if (error?.code === "internal") {
      logger.error("A call failed by a fault of the front", {
        ...facts,
        error: error.cause ?? error,
      });
    } else if (code === "UNAVAILABLE") logger.warn("A call was not served", { ...facts, error });
    else logger.debug("A call was answered", facts);
  }
}

function unknownMethod(path: string): GrpcError {
  const shown = JSON.stringify(path.slice(0, 128));
  return new GrpcError("UNIMPLEMENTED", `There is no method ${shown}: server reflection lists all`);
}
