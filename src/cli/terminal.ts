/**
 * The process as the command line sees it: two outputs, an environment, files, signals. Results go
 * to standard output, everything else (logs, progress, errors for people) to standard error.
 *
 * Writes are synchronous, so that nothing is lost when the process exits. A reader that went away
 * (`crs … | head`) ends a command quietly, as with other tools of a shell; a command that must end
 * in good order is told by a signal. Output that cannot be written ends a command with one line on
 * standard error and exit code 4; one that runs until it is stopped goes on and ends with that code.
 */
import { existsSync, writeSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import process from "node:process";
import { CLI_FILE_BYTES_MAX } from "../base/limits.ts";
import { systemAdvice, systemCodeOf } from "../base/system_error.ts";
import { readBounded, readBoundedFile } from "../../identity/files/bounded_file.ts";
import { EXIT_CODES } from "./exit_codes.ts";
import { usageFailure } from "./failure.ts";

/** Signals that ask a command to stop: ^C, a supervisor, a terminal that was closed. */
export const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** One of {@link STOP_SIGNALS}. */
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** What a command sees of the process; tests pass their own. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** True where a person looks at standard output, and at standard error. */
  readonly isOutTty: boolean;
  readonly isErrTty: boolean;
  /** Width of the terminal, characters. */
  readonly columns: number;
  /** Writes `text` as it is. */
  out(text: string): void;
  err(text: string): void;
  /**
   * The text of a file, of standard input for `-`.
   *
   * @throws CliFailure `invalid_argument` where it cannot be read or is too large.
   */
  readText(path: string): string;
  /** Calls `stop` for each signal, instead of what the system would do. Returns how to end that. */
  onStop(stop: (signal: StopSignal) => void): () => void;
  /** Calls `ended` when standard input is at its end. What is read is dropped. */
  onInputEnd(ended: () => void): void;
  /** Ends the process now. */
  exit(code: number): never;
}

/** Width where none is known: that of a punched card. */
const COLUMNS_DEFAULT = 80;

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { env, stdout, stderr } = process;
  const stops = new Set<(signal: StopSignal) => void>();
  let isReaderGone = false;
  const readerGone = () => {
    if (stops.size === 0) process.exit(EXIT_CODES.success);
    // Once: a second signal would mean to end at once.
    if (isReaderGone) return;
    isReaderGone = true;
    for (const stop of stops) stop("SIGHUP");
  };
  let isOutputLost = false;
  const outputFailed = (failure: unknown) => {
    if (!isOutputLost) writeAll(2, outputLostText(failure));
    isOutputLost = true;
    // A command that runs until it is stopped has more to do than to print.
    if (stops.size === 0) process.exit(EXIT_CODES.unavailable);
  };
  return {
    environment: env,
    isOutTty: stdout.isTTY === true,
    isErrTty: stderr.isTTY === true,
    columns: stdout.columns ?? COLUMNS_DEFAULT,
    out: (text) => {
      const end = writeAll(1, text);
      if (end === "reader gone") readerGone();
      else if (end !== "written") outputFailed(end.failure);
    },
    // Nobody reads what is said beside the result, or nobody can be told: the command goes on.
    err: (text) => void writeAll(2, text),
    readText: (path) => readText(path, env["INIT_CWD"]),
    onStop: (stop) => {
      stops.add(stop);
      for (const signal of STOP_SIGNALS) process.on(signal, stop);
      return () => {
        stops.delete(stop);
        for (const signal of STOP_SIGNALS) process.off(signal, stop);
      };
    },
    onInputEnd: (ended) => {
      // "close" as well: an input that was never open has no end.
      process.stdin.once("end", ended).once("close", ended).resume();
    },
    exit: (code) => process.exit(code === 0 && isOutputLost ? EXIT_CODES.unavailable : code),
  };
}

/** One line: whoever redirected the output knows the rest. */
function outputLostText(failure: unknown): string {
  const reason = failure instanceof Error ? failure.message : String(failure);
  const advice = systemAdvice(failure);
  return `error: standard output cannot be written: ${reason}` +
    (advice === undefined ? "\n" : `; ${advice}\n`);
}

/** What became of a write. */
type WriteEnd = "written" | "reader gone" | { readonly failure: unknown };

function writeAll(file: number, text: string): WriteEnd {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(file, bytes, written);
    } catch (error) {
      const code = systemCodeOf(error);
      // A pipe that its other end made non-blocking is full: its reader is at work.
      if (code === "EAGAIN") continue;
      if (code === "EPIPE") return "reader gone";
      // The terminal was closed: nobody reads, and what is under way must still end well.
      if (code === "EIO") return "written";
      return { failure: error };
    }
  }
  return "written";
}

/** `deno task` runs in the project's folder and tells by INIT_CWD where the person was. */
function readText(path: string, initialFolder: string | undefined): string {
  try {
    if (path === "-") return readBounded(0, CLI_FILE_BYTES_MAX);
    return readBoundedFile(placeOf(path, initialFolder), CLI_FILE_BYTES_MAX);
  } catch (error) {
    throw unreadable(path === "-" ? "standard input" : path, error);
  }
}

function placeOf(path: string, initialFolder: string | undefined): string {
  if (initialFolder === undefined || isAbsolute(path) || existsSync(path)) return path;
  return resolve(initialFolder, path);
}

function unreadable(name: string, error: unknown): Error {
  const isMissing = systemCodeOf(error) === "ENOENT";
  const reason = error instanceof Error ? error.message : String(error);
  return usageFailure(
    `Cannot read ${name}: ${isMissing ? "there is no such file" : reason}`,
    "Name a readable file, or - for standard input; examples/gateway.json is a record's.",
    name,
  );
}
