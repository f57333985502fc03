/** Metrics in the form that prom-client's registry renders: a name, and samples on demand. */

/** One value of a metric. */
export interface Sample {
  /** The name if it differs from the family's: the parts of a histogram. */
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric with its values. */
export interface Family {
  readonly name: string;
  get(): Promise<{
    readonly name: string;
    readonly help: string;
    readonly type: "counter" | "gauge" | "histogram";
    readonly values: readonly Sample[];
    readonly aggregator: "sum";
  }>;
}

/** Returns the values of a metric; called at each scrape. */
export type Collect = () => readonly Sample[];

function family(
  type: "counter" | "gauge" | "histogram",
  name: string,
  help: string,
  collect: Collect,
): Family {
  return {
    name,
    get: () => Promise.resolve({ name, help, type, values: collect(), aggregator: "sum" }),
  };
}

/** Returns a counter. */
export function counter(name: string, help: string, collect: Collect): Family {
  return family("counter", name, help, collect);
}

/** Returns a gauge. */
export function gauge(name: string, help: string, collect: Collect): Family {
  return family("gauge", name, help, collect);
}

/** Returns a histogram. */
export function histogram(name: string, help: string, collect: Collect): Family {
  return family("histogram", name, help, collect);
}

/** Returns the value of a metric without labels. */
export function single(value: number): Sample[] {
  return [{ labels: {}, value }];
}
