/** Metrics of the HTTP face, under the names that its users' dashboards have. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { HttpError } from "./errors.ts";

/** Bounds of the latency, seconds: finer around the objectives of a read. */
const LATENCY_BOUNDS_S = [
  0.001,
  0.002,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  30,
];

/** A finished request. */
export interface FinishedRequest {
  /** The route's path as described; a word for requests without a route. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
  /** Whether it waited for news, so that its time says nothing of the latency. */
  readonly isWait: boolean;
}

/** The counts of one face. */
export class HttpMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<"route" | "method" | "status">;
  readonly #latency: Histogram<"route">;
  readonly #rejected: Counter<"reason">;
  readonly #updates: Counter<"result">;
  readonly #lagged: Counter<"service">;

  readonly #more: (() => Promise<string>) | undefined;

  /**
   * @param gauges values that are read when metrics are: name, description, value.
   * @param more returns further metrics as text.
   */
  constructor(
    gauges: readonly (readonly [name: string, help: string, value: () => number])[],
    more?: () => Promise<string>,
  ) {
    this.#more = more;
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: "requests_total",
      help: "Answered requests by route, method and status.",
      labelNames: ["route", "method", "status"],
      registers,
    });
    this.#latency = new Histogram({
      name: "request_latency_seconds",
      help:
        "Time from a request's head to its answer; of an event stream, to its beginning. Requests " +
        "that wait for news are left out.",
      labelNames: ["route"],
      buckets: LATENCY_BOUNDS_S,
      registers,
    });
    this.#rejected = new Counter({
      name: "rejected_total",
      help: "Refused requests by reason: degraded, invalid_sig, unauthorized and others.",
      labelNames: ["reason"],
      registers,
    });
    this.#updates = new Counter({
      name: "registry_update_total",
      help: "Requests to apply a proposal, by result: applied, or the registry's code.",
      labelNames: ["result"],
      registers,
    });
    this.#lagged = new Counter({
      name: "bus_lagged_total",
      help: "Heartbeats of event streams whose reader had not taken what was sent, by stream.",
      labelNames: ["service"],
      registers,
    });
    for (const [name, help, value] of gauges) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    }
  }

  /** Counts an answer. */
  finished({ route, method, status, seconds, isWait }: FinishedRequest): void {
    this.#requests.inc({ route, method, status });
    if (!isWait) this.#latency.observe({ route }, seconds);
  }

  /** Counts a refusal. */
  rejected({ code }: HttpError): void {
    this.#rejected.inc({ reason: REASONS[code] });
  }

  /** Counts an attempt to apply a proposal. */
  updated(result: string): void {
    this.#updates.inc({ result });
  }

  /** Counts a reader that has fallen behind. @param service the path of its stream. */
  lagged(service: string): void {
    this.#lagged.inc({ service });
  }

  /** Adds the numbers of descriptors by state, counted when metrics are read. */
  addDescriptors(counts: () => ReadonlyMap<string, number>): void {
    new Gauge({
      name: "registry_descriptors_total",
      help: "Descriptors by the state of their newest version.",
      labelNames: ["state"],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [state, count] of counts()) this.set({ state }, count);
      },
    });
  }

  /** Returns all metrics in the Prometheus text format, and its media type. */
  async render(): Promise<{ readonly text: string; readonly contentType: string }> {
    const texts = [await this.#registry.metrics(), await this.#more?.() ?? ""];
    return { text: texts.filter(Boolean).join("\n"), contentType: this.#registry.contentType };
  }
}

const REASONS: Readonly<Record<HttpError["code"], string>> = {
  BadRequest: "bad_request",
  Unauthorized: "unauthorized",
  Forbidden: "forbidden",
  NotFound: "not_found",
  MethodNotAllowed: "method_not_allowed",
  StaleVersion: "stale_version",
  NoQuorum: "no_quorum",
  PayloadTooLarge: "payload_too_large",
  UnsupportedMediaType: "unsupported_media_type",
  BadSignature: "invalid_sig",
  WriteRateLimited: "rate_limited",
  HeadTooLarge: "head_too_large",
  StoreUnavailable: "degraded",
};
