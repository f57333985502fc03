/** Metrics of the gRPC face, under the names that dashboards of gRPC servers have. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { GrpcCode } from "./status.ts";

/** Bounds of the latency, seconds. */
const LATENCY_BOUNDS_S = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];

/** A method as its labels name it. */
export interface MethodLabels {
  readonly grpc_service: string;
  readonly grpc_method: string;
}

/** A finished call. */
export interface FinishedCall {
  readonly method: MethodLabels;
  readonly code: GrpcCode;
  /** Time from its headers to its end; `undefined` for streams, whose time is no latency. */
  readonly seconds: number | undefined;
}

/** The labels of calls of methods that no service has, whose names could be any. */
export const UNKNOWN_METHOD: MethodLabels = { grpc_service: "unknown", grpc_method: "unknown" };

/** The counts of one face. */
export class GrpcMetrics {
  readonly #registry = new Registry();
  readonly #handled: Counter<"grpc_service" | "grpc_method" | "grpc_code">;
  readonly #latency: Histogram<"grpc_service" | "grpc_method">;

  constructor() {
    const registers = [this.#registry];
    this.#handled = new Counter({
      name: "grpc_server_handled_total",
      help: "Finished calls by service, method and status.",
      labelNames: ["grpc_service", "grpc_method", "grpc_code"],
      registers,
    });
    this.#latency = new Histogram({
      name: "grpc_server_handling_seconds",
      help: "Time from the headers of a call to its status; streams are left out.",
      labelNames: ["grpc_service", "grpc_method"],
      buckets: LATENCY_BOUNDS_S,
      registers,
    });
  }

  /** Adds a value that is read when metrics are. */
  addGauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(value());
      },
    });
  }

  /** Counts a finished call. */
  finished({ method, code, seconds }: FinishedCall): void {
    this.#handled.inc({ ...method, grpc_code: code });
    if (seconds !== undefined) this.#latency.observe({ ...method }, seconds);
  }

  /** Returns all metrics in the Prometheus text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }
}
