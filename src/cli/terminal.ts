/**
 * The process as the command line sees it: two outputs, an environment, files, signals. Results go
 * to standard output, everything else (logs, progress, errors for people) to standard error.
 *
 * Writes are synchronous, so that nothing is lost when the process exits. A reader that went away
 * (`crs … | head`) ends a command quietly, as with other tools of a shell; a command that must end
 * in good order is told by a signal.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import process from "node:process";
import { CLI_FILE_BYTES_MAX } from "../base/limits.ts";
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
  return {
    environment: env,
    isOutTty: stdout.isTTY === true,
    isErrTty: stderr.isTTY === true,
    columns: stdout.columns ?? COLUMNS_DEFAULT,
    out: (text) => writeAll(1, text, readerGone),
    // Nobody reads what is said beside the result: the command goes on.
    err: (text) => writeAll(2, text, () => {}),
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
    exit: (code) => process.exit(code),
  };
}

function writeAll(file: number, text: string, readerGone: () => void): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(file, bytes, written);
    } catch (error) {
      const code = codeOf(error);
      // A pipe that its other end made non-blocking is full: its reader is at work.
      if (code === "EAGAIN") continue;
      if (code === "EPIPE") return readerGone();
      // The terminal was closed: nobody reads, and what is under way must still end well.
      if (code === "EIO") return;
      throw error;
    }
  }
}

/** `deno task` runs in the project's folder and tells by INIT_CWD where the person was. */
function readText(path: string, initialFolder: string | undefined): string {
  if (path === "-") return readAll(0, "standard input");
  try {
    return readFile(path);
  } catch (error) {
    const retry = codeOf(error) === "ENOENT" && initialFolder !== undefined && !isAbsolute(path);
    try {
      if (retry) return readFile(resolve(initialFolder, path));
    } catch (second) {
      throw unreadable(path, second);
    }
    throw unreadable(path, error);
  }
}

function readFile(path: string): string {
  const file = openSync(path, "r");
  try {
    if (fstatSync(file).isDirectory()) {
      throw usageFailure(`Cannot read ${path} as it is a folder`, "Name a file.", path);
    }
    return readAll(file, path);
  } finally {
    closeSync(file);
  }
}

function readAll(file: number, name: string): string {
  const bytes = new Uint8Array(CLI_FILE_BYTES_MAX + 1);
  let length = 0;
  while (length < bytes.length) {
    const read = readSync(file, bytes, length, bytes.length - length, null);
    if (read === 0) return new TextDecoder().decode(bytes.subarray(0, length));
    length += read;
  }
  throw usageFailure(
    `Cannot take ${name} as it has more than ${CLI_FILE_BYTES_MAX} bytes`,
    "Name the file of one record.",
    name,
  );
}

function unreadable(path: string, error: unknown): Error {
  if (error instanceof Error && error.name === "RegistryError") return error;
  const reason = codeOf(error) === "ENOENT"
    ? "there is no such file"
    : error instanceof Error
    ? error.message
    : String(error);
  return usageFailure(
    `Cannot read ${path}: ${reason}`,
    "Name a readable file of JSON, or - for standard input; examples/gateway.json is an example.",
    path,
  );
}

function codeOf(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && "code" in error
    ? String(error.code)
    : undefined;
}
