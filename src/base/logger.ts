/**
 * The structured logging interface: a short message and facts beside it. The implementation
 * (`src/node/logger.ts`) is passed to constructors, so that lower folders do not depend on a
 * library. Not used on the path of single requests: logs record changes, not traffic.
 */

/** Named plain values that accompany a message. An `error` is written with its code and cause. */
export type LogFacts = Readonly<Record<string, unknown>>;

/** Log levels from the most verbose to none. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;

/** A log level. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes log messages. No method throws. */
export interface Logger {
  /** Individual steps, for debugging a defect. */
  trace(message: string, facts?: LogFacts): void;
  /** Decisions that explain the program's behavior. */
  debug(message: string, facts?: LogFacts): void;
  /** State changes of interest to an operator. */
  info(message: string, facts?: LogFacts): void;
  /** A failure that was handled. */
  warn(message: string, facts?: LogFacts): void;
  /** A failure that persists until somebody acts. */
  error(message: string, facts?: LogFacts): void;
  /** Returns a logger that adds `facts` to every message. */
  child(facts: LogFacts): Logger;
}

/** A logger that discards everything. */
export const SILENT_LOGGER: Logger = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => SILENT_LOGGER,
};
