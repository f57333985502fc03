/**
 * The log of a process, written by pino: JSON lines on standard error for programs, or one readable
 * line per event for a person at a terminal. Lines are written synchronously, so that none is lost
 * when the process ends; for that reason the request path never logs.
 */
import { pino } from "pino";
import type { LogFacts, Logger, LogLevel } from "../base/logger.ts";
import { LOG_ERROR_CAUSES_MAX } from "../base/limits.ts";
import { RegistryError } from "../base/errors.ts";
import { systemCodeOf } from "../base/system_error.ts";

/** The format of log lines: `json` for programs, `text` for people. */
export type LogFormat = "json" | "text";

/** Returns the format for a setting: `auto` is text at a terminal, otherwise JSON. */
export function logFormatOf(setting: "auto" | LogFormat, isTerminal: boolean): LogFormat {
  if (setting !== "auto") return setting;
  return isTerminal ? "text" : "json";
}

/** The options of {@link createLogger}. */
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

/** Creates a logger that writes lines of at least `level`. */
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
  // The reader of standard error may close it; a node that cannot log keeps serving.
  stream.on("error", () => {});
  return (line) => {
    stream.write(line);
  };
}

/**
 * Returns an error's name, code and message, its stack if it is a bug, and those of its causes.
 *
 * A refusal of the system (`EMFILE`, …) is no bug; besides, Deno 2.9 ends the process when a stack is read
 * while no file can be opened, as it then transpiles the module to find its lines.
 */
export function errorFacts(error: unknown, causesLeft = LOG_ERROR_CAUSES_MAX): unknown {
  if (!(error instanceof Error)) return String(error);
  const facts: Record<string, unknown> = { name: error.name, message: error.message };
  if (error instanceof RegistryError) {
    facts.code = error.code;
    Object.assign(facts, error.fields);
  } else {
    const code = systemCodeOf(error);
    if (code === undefined) facts.stack = error.stack;
    else facts.code = code;
  }
  if (error.cause !== undefined && causesLeft > 0) {
    facts.cause = errorFacts(error.cause, causesLeft - 1);
  }
  return facts;
}

/** Formats a JSON line as `12:34:56.789 warn  message  key=value  key={"a":1}`. */
function readableLine(line: string): string {
  const { time, level, msg, ...facts } = JSON.parse(line) as Record<string, unknown>;
  let text = `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}`;
  for (const [name, value] of Object.entries(facts)) {
    text += `  ${name}=${typeof value === "string" ? plainText(value) : JSON.stringify(value)}`;
  }
  return text.replace(CONTROLS, escapeControl) + "\n";
}

/** Characters that would break a line, forge another one, or control a terminal. */
// deno-lint-ignore no-control-regex -- control characters are what it looks for.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function escapeControl(character: string): string {
  return "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0");
}

/** Returns a single word as it is, anything else quoted. */
function plainText(value: string): string {
  return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
}
