/**
 * Common parts of the benches: a server in a second process, its resident memory, a results file
 * that describes the machine, and a table for the README.
 *
 * Load and server never share a process. Results go to `bench/results/<name>.ndjson`: a first line
 * that describes the machine and the run, then one line per measurement.
 */
import { cpus } from "node:os";

/** The machine and the runtime, as recorded in each results file. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly os: string;
  readonly deno: string;
  readonly v8: string;
}

/** Describes this machine. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: navigator.hardwareConcurrency,
    memoryMiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 20),
    os: `${Deno.build.os} ${Deno.osRelease()} ${Deno.build.arch}`,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
  };
}

/** Returns a sentence that describes the machine, for the README. */
export function machineSentence(machine: Machine): string {
  return `${machine.cpu}, ${machine.cores} cores, ${(machine.memoryMiB / 1024).toFixed(1)} GiB, ` +
    `${machine.os}, Deno ${machine.deno}`;
}

/** The results of one bench; a new run replaces the results of the previous one. */
export class ResultFile {
  readonly path: string;

  /**
   * @param name the file's name without `.ndjson`.
   * @param date date of the run, as recorded in the file (ISO 8601).
   */
  constructor(name: string, date: string, folder: URL = new URL("results/", import.meta.url)) {
    Deno.mkdirSync(folder, { recursive: true });
    this.path = new URL(`${name}.ndjson`, folder).pathname;
    const head = { name, date, machine: describeMachine() };
    Deno.writeTextFileSync(this.path, JSON.stringify(head) + "\n");
  }

  /** Writes one measurement to the file immediately, and prints it. */
  write(result: object): void {
    const line = JSON.stringify(result);
    Deno.writeTextFileSync(this.path, line + "\n", { append: true });
    console.log(line);
  }
}

/** Options to start a server. */
export interface ServerOptions {
  /** Arguments for deno, `run` and its flags included. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Reports whether a line of the server's standard output announces that it serves. */
  readonly isReady?: (line: string) => boolean;
  /** Maximum time until that line, ms. */
  readonly readyMsMax?: number;
}

/** Deadline for a server's first line, ms: dependencies are installed, and a start takes < 1 s. */
const READY_MS_MAX = 30_000;
/** Time that a server has to end after a signal, ms. */
const STOP_MS_MAX = 10_000;

/** A server in its own process. */
export class ServerProcess {
  /** The line that announced that the server serves. */
  readonly readyLine: string;
  /** Time from the start of the process to that line, ms. */
  readonly readyMs: number;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, readyLine: string, readyMs: number) {
    this.#child = child;
    this.readyLine = readyLine;
    this.readyMs = readyMs;
  }

  /**
   * Starts a server and waits until it serves. Its standard error is inherited.
   *
   * @throws Error when it ends, or does not announce in time that it serves.
   */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const startMs = performance.now();
    const child = new Deno.Command(Deno.execPath(), {
      args: [...options.args],
      env: { ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const readyMsMax = options.readyMsMax ?? READY_MS_MAX;
    const timer = setTimeout(
      () => reject(new Error("The server did not report in time that it serves")),
      readyMsMax,
    );
    const isReady = options.isReady ?? (() => true);
    readLines(child.stdout, (line) => {
      if (isReady(line)) resolve(line);
    }).then(() => reject(new Error("The server ended")), reject);
    try {
      const line = await promise;
      return new ServerProcess(child, line, performance.now() - startMs);
    } catch (error) {
      killIfAlive(child, "SIGKILL");
      const command = `deno ${options.args.join(" ")}`;
      throw new Error(`Cannot start ${command} within ${readyMsMax} ms`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Returns the current resident memory of the server, bytes. */
  residentBytes(): number {
    return residentBytes(this.pid);
  }

  /** Ends the server with `signal` and waits for its end; kills it if it does not end in time. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    killIfAlive(this.#child, signal);
    const timer = setTimeout(() => killIfAlive(this.#child, "SIGKILL"), STOP_MS_MAX);
    const status = await this.#child.status;
    clearTimeout(timer);
    return status;
  }
}

function killIfAlive(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // The process has already ended, for which deno throws a TypeError; its status tells the
    // outcome.
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Calls `take` for each line until the end, so that a full pipe never blocks the writer. */
async function readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) take(line);
  }
}

/** Returns the resident memory of a process, bytes (VmRSS; Linux). */
export function residentBytes(pid: number = Deno.pid): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`No resident memory found for process ${pid}`);
  return Number(kibibytes) * 1024;
}

/** Parses `--name=value` arguments with defaults; refuses names that have no default. */
export function parseFlags<T extends Record<string, string>>(
  args: readonly string[],
  defaults: T,
): T {
  const flags: Record<string, string> = { ...defaults };
  for (const argument of args) {
    const [, name, value] = /^--([a-z-]+)=(.*)$/.exec(argument) ?? [];
    if (name === undefined || value === undefined || !(name in defaults)) {
      const known = Object.keys(defaults).map((flag) => `--${flag}=…`).join(" ");
      throw new RangeError(`Unknown argument ${argument}: known are ${known}`);
    }
    flags[name] = value;
  }
  return flags as T;
}

/** Returns a Markdown table; the first row is the head, and numbers are aligned to the right. */
export function markdownTable(rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => formatCell(cell)));
  const widths = cells[0]!.map((_, column) =>
    Math.max(3, ...cells.map((row) => row[column]!.length))
  );
  const isNumber = widths.map((_, column) =>
    rows.length > 1 && rows.slice(1).every((row) => typeof row[column] === "number")
  );
  const lines = cells.map((row) => {
    const padded = row.map((cell, column) =>
      isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
    );
    return `| ${padded.join(" | ")} |`;
  });
  const rule = widths.map((width, column) =>
    isNumber[column] ? "-".repeat(width - 1) + ":" : "-".repeat(width)
  );
  lines.splice(1, 0, `| ${rule.join(" | ")} |`);
  return lines.join("\n");
}

function formatCell(cell: string | number): string {
  if (typeof cell === "string") return cell;
  const digits = Math.abs(cell) >= 100 || Number.isInteger(cell) ? 0 : 2;
  const [whole, fraction] = cell.toFixed(digits).split(".");
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}
