/** Counts, latencies and failures of a demonstration's fleet. */
import { type ErrorCode, toRegistryError } from "../../base/errors.ts";
import { Latencies } from "../../base/latencies.ts";

/** The fleet's operations, in the order in which tables list them. */
export const DEMO_OPERATIONS = [
  "connect",
  "register gateway",
  "register a batch",
  "register agent",
  "renew",
  "resolve",
  "find gateways",
  "report",
  "deregister",
] as const;

/** One of {@link DEMO_OPERATIONS}. */
export type DemoOperation = (typeof DEMO_OPERATIONS)[number];

/**
 * The figures of one operation. Times are ms; those of `renew`, which the SDK sends, are unknown.
 */
export interface OperationFigures {
  readonly operation: DemoOperation;
  readonly count: number;
  /** Proven answers that there is no such record, for example while an agent is away. */
  readonly notFound: number;
  readonly failed: number;
  readonly latencyMs:
    | { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }
    | null;
}

/** Counts and latencies of operations. */
export class Tally {
  readonly #latencies = new Map<DemoOperation, Latencies>();
  readonly #counts = new Map<DemoOperation, number>();
  readonly #notFound = new Map<DemoOperation, number>();
  readonly #failed = new Map<DemoOperation, number>();
  readonly #nowMs: () => number;
  /** Failures by code, except `not_found`. */
  readonly failures = new Map<ErrorCode, number>();
  /** Set when the demonstration ends: an operation interrupted after that is not a failure. */
  ended = false;

  /** @param nowMs a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * Runs and times one operation. If it throws, the failure is counted and `undefined` returned.
   */
  async time<T>(operation: DemoOperation, run: () => Promise<T>): Promise<T | undefined> {
    const startMs = this.#nowMs();
    try {
      const result = await run();
      this.#latency(operation, startMs);
      return result;
    } catch (cause) {
      const { code } = toRegistryError(cause);
      if (this.ended) return undefined;
      if (code === "not_found") {
        this.#latency(operation, startMs);
        add(this.#notFound, operation);
      } else this.fail(operation, code);
      return undefined;
    }
  }

  /** Counts an operation that is not timed. */
  count(operation: DemoOperation, times = 1): void {
    add(this.#counts, operation, times);
  }

  /** Counts a failure. */
  fail(operation: DemoOperation, code: ErrorCode): void {
    if (this.ended) return;
    add(this.#failed, operation);
    add(this.failures, code);
  }

  /** The total number of failures. */
  get failed(): number {
    return [...this.#failed.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Returns the figures of one operation. */
  figures(operation: DemoOperation): OperationFigures {
    const latencies = this.#latencies.get(operation);
    return {
      operation,
      count: this.#counts.get(operation) ?? 0,
      notFound: this.#notFound.get(operation) ?? 0,
      failed: this.#failed.get(operation) ?? 0,
      latencyMs: latencies === undefined ? null : {
        p50: rounded(latencies.percentileMs(50)),
        p90: rounded(latencies.percentileMs(90)),
        p99: rounded(latencies.percentileMs(99)),
        max: rounded(latencies.maxMs),
      },
    };
  }

  /** Returns the figures of all operations that were used. */
  all(): OperationFigures[] {
    return DEMO_OPERATIONS.map((operation) => this.figures(operation))
      .filter(({ count, failed }) => count + failed > 0);
  }

  #latency(operation: DemoOperation, startMs: number): void {
    let latencies = this.#latencies.get(operation);
    if (latencies === undefined) this.#latencies.set(operation, latencies = new Latencies());
    latencies.record(this.#nowMs() - startMs);
    add(this.#counts, operation);
  }
}

function add<K>(counts: Map<K, number>, key: K, times = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + times);
}

/** Rounds to a microsecond. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
