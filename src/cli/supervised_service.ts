/**
 * A service that runs beside a node in a process of its own: started again when it ends, after a pause
 * that grows while it does not stay up. Nothing that happens to it touches the node.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { SERVICE_PAUSE_MS_BASE, SERVICE_PAUSE_MS_CAP, SERVICE_STABLE_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";

/** One run of a service. */
export interface ServiceRun<Started> {
  /** Resolves once it serves. @throws RegistryError why it does not. */
  ready(): Promise<Started>;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ readonly code: number; readonly signal: string | null }>;
  /** Stops it gracefully; resolves when it has ended. */
  stop(): Promise<void>;
}

/** Options of a {@link SupervisedService}. */
export interface SupervisedServiceOptions<Started> {
  /** Its name, in the log and the metrics. */
  readonly name: string;
  /** Starts a run. @throws RegistryError if it cannot be started now. */
  readonly run: () => Promise<ServiceRun<Started>>;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  readonly clock: MonotonicClock;
}

/** A service that is kept running. */
export class SupervisedService<Started> {
  readonly #options: SupervisedServiceOptions<Started>;
  /** The number of starts after the first, with those that failed. */
  restarts = 0;
  #run: ServiceRun<Started> | undefined;
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined;
  #isStopping = false;
  /** Settles when the run that is being started serves, or has failed. */
  #starting: Promise<unknown> | undefined;
  #keeping: Promise<void> | undefined;

  constructor(options: SupervisedServiceOptions<Started>) {
    this.#options = options;
  }

  /**
   * Starts the service, and keeps it running from then on.
   *
   * @throws RegistryError why the first run did not start; then none follows.
   */
  async start(): Promise<Started> {
    const startedMs = this.#options.clock.nowMs();
    const starting = this.#begin();
    // The caller of this method gets the error.
    this.#starting = starting.catch(() => {});
    const started = await starting;
    this.#keeping = this.#keep(startedMs);
    return started;
  }

  /** Stops the service; resolves when its process has ended. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#pause?.timer.cancel();
    this.#pause?.end();
    await this.#run?.stop();
    await this.#starting;
    await this.#keeping;
  }

  /** Starts a run and waits until it serves. */
  async #begin(): Promise<Started> {
    const run = await this.#options.run();
    this.#run = run;
    try {
      if (this.#isStopping) throw new RegistryError("shutting_down", "The service is stopping");
      return await run.ready();
    } catch (error) {
      await run.stop();
      throw error;
    }
  }

  /** Starts a run again whenever one has ended. Never rejects. */
  async #keep(startedMs: number): Promise<void> {
    const { name: service, logger, clock } = this.#options;
    let failures = 0;
    let sinceMs = startedMs;
    for (;;) {
      const { code, signal } = await this.#run!.ended;
      if (this.#isStopping) return;
      failures = clock.nowMs() - sinceMs >= SERVICE_STABLE_MS ? 1 : failures + 1;
      logger.warn("A service ended; it is started again", { service, code, signal });
      for (;;) {
        await this.#wait(pauseMs(failures));
        if (this.#isStopping) return;
        this.restarts++;
        sinceMs = clock.nowMs();
        try {
          await this.#begin();
          break;
        } catch (error) {
          if (this.#isStopping) return;
          failures++;
          const { message } = toRegistryError(error);
          logger.warn("A service did not start; it is tried again", { service, message });
        }
      }
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.scheduler.after(ms, () => resolve());
      this.#pause = { timer, end: resolve };
    });
  }
}

/** Returns the pause after so many failures in a row, at least 1, ms. */
function pauseMs(failures: number): number {
  return Math.min(SERVICE_PAUSE_MS_CAP, SERVICE_PAUSE_MS_BASE * 2 ** Math.min(failures - 1, 20));
}
