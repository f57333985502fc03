/** The command line as real processes: a command that runs to its end, or a running node. */
import { UNLISTED_CODE } from "../../src/serving/listed_codes.ts";
import { failFile } from "./listed_codes.ts";
import { within } from "./until.ts";
import { DENO_RUN } from "./deno_run.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
/** Deadline for starting processes, as long as the program's own for its children. */
const DEADLINE_MS = 60_000;

/** The result of a command. */
export interface CrsResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The document that a starting node prints with `--json`. */
export interface StartedNode {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly tlsAddresses: readonly { readonly host: string; readonly port: number }[];
  readonly ops: { readonly host: string; readonly port: number };
  readonly dataFolder: string;
  readonly created: boolean;
  /** Of a node that did not start, instead of everything else. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** Options of a command. */
export interface CrsOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Passed on standard input, which is then closed. */
  readonly input?: string;
  /** A module that is loaded first. */
  readonly preload?: string;
  /** The folder of another source of the program; default: this one. */
  readonly source?: string;
  /** For V8, as `--v8-flags` takes them. */
  readonly v8Flags?: string;
  /** The maximum number of open files. */
  readonly openFilesMax?: number;
}

/** Returns the environment without settings of the user who runs the tests. */
export function cleanEnvironment(
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("CRS_"));
  return { ...Object.fromEntries(kept), ...extra };
}

/** A running command; its output is collected. */
export class CrsProcess {
  readonly child: Deno.ChildProcess;
  stdout = "";
  stderr = "";
  readonly #ended: Promise<CrsResult>;
  readonly #waiting = new Set<() => void>();

  constructor(
    args: readonly string[],
    { env = {}, input, preload, source = ROOT, v8Flags, openFilesMax }: CrsOptions = {},
  ) {
    const first = preload === undefined ? [] : ["--preload", preload];
    if (v8Flags !== undefined) first.push(`--v8-flags=${v8Flags}`);
    const run = [...DENO_RUN, ...first, `${source}/src/cli/main.ts`, ...args];
    const limited = ["-c", `ulimit -n ${openFilesMax}; exec "$@"`, "sh", Deno.execPath(), ...run];
    this.child = new Deno.Command(openFilesMax === undefined ? Deno.execPath() : "sh", {
      args: openFilesMax === undefined ? run : limited,
      env: cleanEnvironment(env),
      clearEnv: true,
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const out = this.#gather(this.child.stdout, (text) => this.stdout += text);
    const err = this.#gather(this.child.stderr, (text) => this.stderr += text);
    this.#ended = Promise.all([this.child.status, out, err]).then(([{ code }]) => {
      for (const check of this.#waiting) check();
      if (this.stderr.includes(UNLISTED_CODE)) failFile(this.stderr);
      return { code, stdout: this.stdout, stderr: this.stderr };
    });
    if (input !== undefined) void this.#feed(input);
  }

  /** Resolves when the command has ended, after any time. */
  get closed(): Promise<CrsResult> {
    return this.#ended;
  }

  /** Resolves when the command ended. */
  async ended(): Promise<CrsResult> {
    return await within(`the end of crs (${this.stderr})`, this.#ended, DEADLINE_MS);
  }

  /**
   * Resolves with the result of `find` on its standard output; rejects if the command ends before.
   */
  async printed<T>(what: string, find: (stdout: string) => T | undefined): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const check = () => {
      const found = find(this.stdout);
      if (found !== undefined) resolve(found);
    };
    this.#waiting.add(check);
    check();
    this.#ended.then(() => reject(new Error(`It ended without ${what}: ${this.stderr}`)));
    try {
      return await within(what, promise, DEADLINE_MS);
    } finally {
      this.#waiting.delete(check);
    }
  }

  /** Sends a signal; does nothing if the command has already ended. */
  kill(signal: Deno.Signal): void {
    try {
      this.child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }

  async #gather(stream: ReadableStream<Uint8Array<ArrayBuffer>>, take: (text: string) => void) {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      take(text);
      for (const check of this.#waiting) check();
    }
  }

  async #feed(input: string): Promise<void> {
    const writer = this.child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
}

/** Runs a command to its end. */
export async function crs(
  args: readonly string[],
  options: CrsOptions = {},
): Promise<CrsResult> {
  return await new CrsProcess(args, options).ended();
}

/** Starts a node on free ports and waits until it serves. */
export async function startCrs(
  dataFolder: string,
  { flags = [], ...options }: CrsOptions & { readonly flags?: readonly string[] } = {},
): Promise<{ process: CrsProcess; node: StartedNode }> {
  const args = [
    "start",
    "--data",
    dataFolder,
    "--port",
    "0",
    "--ops-port",
    "0",
    "--peer-port",
    "0",
    ...flags,
    "--json",
  ];
  const process = new CrsProcess(args, options);
  const node = await process.printed("a document", documentIn<StartedNode>);
  return { process, node };
}

/** Returns the JSON document in `text` if it is complete. */
export function documentIn<T>(text: string): T | undefined {
  if (!text.endsWith("}\n")) return undefined;
  return JSON.parse(text) as T;
}
