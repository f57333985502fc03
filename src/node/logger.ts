/**
 * The log of a process, by pino: JSON lines on standard error for programs, or one readable line an
 * event for a person at a terminal. Lines are written synchronously, so that nothing is lost when
 * the process ends; that is why nothing on the way of a request logs.
 */
import { pino } from "pino";
import type { LogFacts, Logger, LogLevel } from "../base/logger.ts";
import { LOG_ERROR_CAUSES_MAX } from "../base/limits.ts";
import { RegistryError } from "../base/errors.ts";

/** How lines look: `json` for programs, `text` for people. */
export type LogFormat = "json" | "text";

/** The form for a setting: `auto` is text where a person reads, else JSON. */
export function logFormatOf(setting: "auto" | LogFormat, isTerminal: boolean): LogFormat {
  if (setting !== "auto") return setting;
  return isTerminal ? "text" : "json";
}

/** What {@link createLogger} needs. */
export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Takes one line with its newline. Default: standard error. */
  readonly write?: (line: string) => void;
}

class PinoLogger implements Logger {
  readonly #pino: pino.Logger;

  constructor(logger: pino.Logger) {
    this.#pino = logger;
  }

  trace(message: string, facts?: LogFacts): void {
    this.#pino.trace(facts ?? {}, message);
  }

  debug(message: string, facts?: LogFacts): void {
    this.#pino.debug(facts ?? {}, message);
  }

  info(message: string, facts?: LogFacts): void {
    this.#pino.info(facts ?? {}, message);
  }

  warn(message: string, facts?: LogFacts): void {
    this.#pino.warn(facts ?? {}, message);
  }

  error(message: string, facts?: LogFacts): void {
    this.#pino.error(facts ?? {}, message);
  }

  child(facts: LogFacts): Logger {
    return new PinoLogger(this.#pino.child(facts));
  }
}

/** A logger that writes lines of at least `level`. */
export function createLogger(options: LoggerOptions): Logger {
  const write = options.write ?? writeToStandardError();
  const destination = options.format === "json"
    ? { write }
    : { write: (line: string) => write(readableLine(line)) };
  return new PinoLogger(
    pino({
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: errorFacts },
    }, destination),
  );
}

function writeToStandardError(): (line: string) => void {
  const stream = pino.destination({ fd: 2, sync: true });
  // Standard error may be closed by whoever read it; a node that cannot log goes on serving.
  stream.on("error", () => {});
  return (line) => {
    stream.write(line);
  };
}

/** The facts of an error, its causes included: name, code, message, and the stack of a bug. */
export function errorFacts(error: unknown, causesLeft = LOG_ERROR_CAUSES_MAX): unknown {
  if (!(error instanceof Error)) return String(error);
  const facts: Record<string, unknown> = { name: error.name, message: error.message };
  if (error instanceof RegistryError) {
    facts.code = error.code;
    Object.assign(facts, error.fields);
  } else {
    facts.stack = error.stack;
  }
  if (error.cause !== undefined && causesLeft > 0) {
    facts.cause = errorFacts(error.cause, causesLeft - 1);
  }
  return facts;
}

/** `12:34:56.789 warn  message  key=value key={"a":1}`, from a JSON line. */
function readableLine(line: string): string {
  const { time, level, msg, ...facts } = JSON.parse(line) as Record<string, unknown>;
  let text = `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}`;
  for (const [name, value] of Object.entries(facts)) {
    text += `  ${name}=${typeof value === "string" ? plainText(value) : JSON.stringify(value)}`;
  }
  return text.replace(CONTROLS, escapeControl) + "\n";
}

/** What would break a line, forge another one, or command a terminal. */
// deno-lint-ignore no-control-regex -- control characters are what it looks for.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function escapeControl(character: string): string {
  return "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0");
}

/** A word as it is; anything else quoted. */
function plainText(value: string): string {
  return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
}
