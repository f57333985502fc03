/**
 * Structured logs as every room sees them: an event in a few words and the facts beside it. What
 * writes them (`src/node/logger.ts`) is passed to constructors, so that no room below depends on a
 * library. Never on the way of a single request: logs tell of changes, not of traffic.
 */

/** Facts beside a message: plain values by name. An `error` is written with its code and cause. */
export type LogFacts = Readonly<Record<string, unknown>>;

/** Levels from the most talkative to none. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;

/** One of the closed set of levels. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes what happened. No method throws. */
export interface Logger {
  /** Steps, for the one who hunts a defect. */
  trace(message: string, facts?: LogFacts): void;
  /** Decisions that explain what the program does. */
  debug(message: string, facts?: LogFacts): void;
  /** Changes of state that an operator wants to find again. */
  info(message: string, facts?: LogFacts): void;
  /** Something went wrong and was survived. */
  warn(message: string, facts?: LogFacts): void;
  /** Something is broken until somebody acts. */
  error(message: string, facts?: LogFacts): void;
  /** The same log with `facts` beside every message. */
  child(facts: LogFacts): Logger;
}

/** Writes nothing. */
export const SILENT_LOGGER: Logger = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => SILENT_LOGGER,
};
