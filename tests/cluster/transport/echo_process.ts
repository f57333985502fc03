/** Starts {@link file://./echo_server.ts} and communicates with it. */
import type { EchoServerStats } from "./echo_server.ts";
import { DENO_RUN } from "../../support/deno_run.ts";

/** A running server. */
export class EchoProcess {
  readonly port: number;
  readonly sha256: Uint8Array;
  readonly #child: Deno.ChildProcess;
  readonly #commands: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string, undefined>;

  private constructor(
    child: Deno.ChildProcess,
    lines: AsyncGenerator<string, undefined>,
    first: { port: number; sha256: number[] },
  ) {
    this.#child = child;
    this.#lines = lines;
    this.#commands = child.stdin.getWriter();
    this.port = first.port;
    this.sha256 = new Uint8Array(first.sha256);
  }

  /** Starts the server; resolves when it listens. */
  static async start(): Promise<EchoProcess> {
    const script = new URL("./echo_server.ts", import.meta.url);
    const child = new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, "--v8-flags=--expose-gc", script.pathname],
      // A single arena of glibc. With one per thread, freed memory is only reused by the same
      // thread, and memory grows for 10,000 sessions instead of 6,000.
      env: { MALLOC_ARENA_MAX: "1" },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const lines = readLines(child.stdout);
    const first = (await lines.next()).value;
    if (first === undefined) throw new Error("The server ended before it listened");
    return new EchoProcess(child, lines, JSON.parse(first));
  }

  /** Sends one command and returns its reply. */
  async ask(command: "stats" | "rotate"): Promise<EchoServerStats> {
    await this.#commands.write(new TextEncoder().encode(`${command}\n`));
    const line = (await this.#lines.next()).value;
    if (line === undefined) throw new Error(`The server died on ${command}`);
    return JSON.parse(line);
  }

  /** Tells the server to close its listener and exit; resolves with its exit code. */
  async leave(): Promise<number> {
    await this.#commands.write(new TextEncoder().encode("goodbye\n"));
    return (await this.#child.status).code;
  }

  /** Kills the server with SIGKILL, if it is still running. */
  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already, as intended.
    }
    await this.#child.status;
    // The pipe is broken if the program has ended.
    await this.#commands.close().catch(() => {});
    await this.#lines.return(undefined);
  }
}

async function* readLines(bytes: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of bytes) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  return undefined;
}
