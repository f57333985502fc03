/**
 * The command line's interface to the process: two outputs, environment, files and signals. Results
 * go to standard output, everything else (logs, progress, errors for people) to standard error.
 *
 * Writes are synchronous, so that nothing is lost when the process exits. If the reader closes the
 * pipe (`crs … | head`), a command ends quietly, like other shell tools; a command that must shut
 * down gracefully is sent a signal instead. If output cannot be written, a command ends with one
 * line on standard error and exit code 4; a long-running command continues and ends with that code.
 */
import { existsSync, readSync, writeSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import process from "node:process";
import { CLI_FILE_BYTES_MAX } from "../base/limits.ts";
import { systemAdvice, systemCodeOf } from "../base/system_error.ts";
import { readBounded, readBoundedFile } from "../../identity/files/bounded_file.ts";
import { EXIT_CODES } from "./exit_codes.ts";
import { usageFailure } from "./failure.ts";

/** Signals that ask a command to stop: ^C, a supervisor, a closed terminal. */
export const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** One of {@link STOP_SIGNALS}. */
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** A command's interface to the process; tests pass their own. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether standard output, and standard error, is a terminal. */
  readonly isOutTty: boolean;
  readonly isErrTty: boolean;
  /** Width of the terminal, characters: that which the variable COLUMNS names, if it does. */
  readonly columns: number;
  /** Writes `text` unchanged to standard output; {@link err} writes to standard error. */
  out(text: string): void;
  err(text: string): void;
  /**
   * Returns the text of a file; `-` is standard input.
   *
   * @throws CliFailure `invalid_argument` if it cannot be read or is too large.
   */
  readText(path: string): string;
  /** Returns the next line of standard input, without its end; "" if there is none. */
  readLine(): string;
  /**
   * Calls `stop` for each signal, instead of the default action. Returns a function that ends this.
   */
  onStop(stop: (signal: StopSignal) => void): () => void;
  /** Calls `ended` at the end of standard input. The input itself is discarded. */
  onInputEnd(ended: () => void): void;
  /** Exits the process. */
  exit(code: number): never;
}

/** Default width if none is known: that of a punched card. */
const COLUMNS_DEFAULT = 80;

/** Returns the width that the variable COLUMNS names (POSIX); `undefined` if it names none. */
function namedColumns({ COLUMNS = "" }: Terminal["environment"]): number | undefined {
  return /^[1-9][0-9]{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : undefined;
}

/**
 * Returns the width to which tables on standard output are fitted; Infinity for a pipe or a file,
 * unless the variable COLUMNS names one.
 */
export function tableColumns(
  { isOutTty, columns, environment }: Pick<Terminal, "isOutTty" | "columns" | "environment">,
): number {
  return namedColumns(environment) ?? (isOutTty ? columns : Infinity);
}

/** Returns the terminal of this process. */
export function processTerminal(): Terminal {
  const { env, stdout, stderr } = process;
  const stops = new Set<(signal: StopSignal) => void>();
  let isReaderGone = false;
  const readerGone = () => {
    if (stops.size === 0) process.exit(EXIT_CODES.success);
    // Once only: a second signal would mean to exit at once.
    if (isReaderGone) return;
    isReaderGone = true;
    for (const stop of stops) stop("SIGHUP");
  };
  let isOutputLost = false;
  const outputFailed = (failure: unknown) => {
    if (!isOutputLost) writeAll(2, outputLostText(failure));
    isOutputLost = true;
    // A long-running command has more to do than to print.
    if (stops.size === 0) process.exit(EXIT_CODES.unavailable);
  };
  return {
    environment: env,
    isOutTty: stdout.isTTY === true,
    isErrTty: stderr.isTTY === true,
    columns: namedColumns(env) ?? stdout.columns ?? COLUMNS_DEFAULT,
    out: (text) => {
      const end = writeAll(1, text);
      if (end === "reader gone") readerGone();
      else if (end !== "written") outputFailed(end.failure);
    },
    // If standard error cannot be written, nobody can be told: the command continues.
    err: (text) => void writeAll(2, text),
    readText: (path) => readText(path, env["INIT_CWD"]),
    readLine: () => readLine(),
    onStop: (stop) => {
      stops.add(stop);
      for (const signal of STOP_SIGNALS) process.on(signal, stop);
      return () => {
        stops.delete(stop);
        for (const signal of STOP_SIGNALS) process.off(signal, stop);
      };
    },
    onInputEnd: (ended) => {
      // "close" as well, because an input that was never open has no end.
      process.stdin.once("end", ended).once("close", ended).resume();
    },
    exit: (code) => process.exit(code === 0 && isOutputLost ? EXIT_CODES.unavailable : code),
  };
}

/** Returns one line: whoever redirected the output knows the rest. */
function outputLostText(failure: unknown): string {
  const reason = failure instanceof Error ? failure.message : String(failure);
  const advice = systemAdvice(failure);
  return `error: cannot write standard output: ${reason}` +
    (advice === undefined ? "\n" : `; ${advice}\n`);
}

/** The outcome of a write. */
type WriteEnd = "written" | "reader gone" | { readonly failure: unknown };

function writeAll(file: number, text: string): WriteEnd {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(file, bytes, written);
    } catch (error) {
      const code = systemCodeOf(error);
      // A non-blocking pipe is full; its reader is still working.
      if (code === "EAGAIN") continue;
      if (code === "EPIPE") return "reader gone";
      // The terminal was closed: nobody reads, but the work in progress must still finish properly.
      if (code === "EIO") return "written";
      return { failure: error };
    }
  }
  return "written";
}

/**
 * Reads a file. `deno task` runs in the project's folder and passes the user's folder in INIT_CWD.
 */
function readText(path: string, initialFolder: string | undefined): string {
  try {
    if (path === "-") return readBounded(0, CLI_FILE_BYTES_MAX);
    return readBoundedFile(placeOf(path, initialFolder), CLI_FILE_BYTES_MAX);
  } catch (error) {
    throw unreadable(path === "-" ? "standard input" : path, error);
  }
}

/** Reads byte by byte, because what follows the line belongs to others. */
function readLine(): string {
  const bytes: number[] = [];
  const byte = new Uint8Array(1);
  while (bytes.length < LINE_BYTES_MAX) {
    try {
      if (readSync(0, byte, 0, 1, null) === 0 || byte[0] === 0x0a) break;
    } catch (error) {
      throw unreadable("standard input", error);
    }
    bytes.push(byte[0]!);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes)).replace(/\r$/, "");
}

/** The longest line that is read: a sentence that a person types. */
const LINE_BYTES_MAX = 4_096;

function placeOf(path: string, initialFolder: string | undefined): string {
  if (initialFolder === undefined || isAbsolute(path) || existsSync(path)) return path;
  return resolve(initialFolder, path);
}

function unreadable(name: string, error: unknown): Error {
  const isMissing = systemCodeOf(error) === "ENOENT";
  const reason = error instanceof Error ? error.message : String(error);
  return usageFailure(
    `Cannot read ${name}: ${isMissing ? "there is no such file" : reason}`,
    "Pass a readable file, or - for standard input.",
    name,
  );
}
