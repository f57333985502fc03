/**
 * The node of a demonstration. It is a separate process, so that the fleet's load does not run in
 * it; it uses a temporary folder and free ports, and its files are removed afterwards. It watches
 * its standard input, so it always ends with this process.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryError } from "../../base/errors.ts";
import type { Terminal } from "../terminal.ts";

/** Time limit from the start of the process to its first output, ms; it takes well below 1 s. */
const READY_MS_MAX = 15_000;
/** Time limit for its graceful shutdown, ms. */
const STOP_MS_MAX = 10_000;
/** Number of characters kept from the end of its standard error. */
const SAID_CHARACTERS_MAX = 4_096;

/** A running node. */
export class NodeProcess {
  readonly dataFolder: string;
  readonly #child: Deno.ChildProcess;
  /** The node's last output on standard error, reported if it fails. */
  #said = "";

  private constructor(dataFolder: string, child: Deno.ChildProcess) {
    this.dataFolder = dataFolder;
    this.#child = child;
    void this.#listen();
  }

  /**
   * Starts a node and waits until it serves. It runs the same program as this process, `crs`.
   *
   * @throws RegistryError `internal` with the node's output, if it does not start.
   */
  static async start(terminal: Pick<Terminal, "environment">): Promise<NodeProcess> {
    const dataFolder = mkdtempSync(join(tmpdir(), "crs-demo-"));
    const flags = ["--data", dataFolder, "--port", "0", "--ops-port", "0", "--log-level", "warn"];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", Deno.mainModule, "start", ...flags, "--json", "--stop-with-stdin"],
      env: withoutSettings(terminal.environment),
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // ^C is for the demonstration, which stops its node itself.
      detached: true,
    }).spawn();
    const node = new NodeProcess(dataFolder, child);
    try {
      await node.#ready();
      return node;
    } catch (error) {
      await node.stop();
      throw error;
    }
  }

  /** Stops the node and removes its files. */
  async stop(): Promise<void> {
    await this.#child.stdin.close();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS_MAX);
    await this.#child.status;
    clearTimeout(timer);
    rmSync(this.dataFolder, { recursive: true, force: true });
  }

  /** Waits for the node's first output; it prints nothing before it serves. */
  async #ready(): Promise<void> {
    const reader = this.#child.stdout.getReader();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), READY_MS_MAX);
    });
    const first = await Promise.race([reader.read(), late]);
    clearTimeout(timer);
    if (first?.value === undefined) {
      const why = first === undefined ? `said nothing within ${READY_MS_MAX} ms` : "ended";
      throw new RegistryError("internal", `The node of the demonstration ${why}\n${this.#said}`);
    }
    await reader.cancel();
  }

  async #listen(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#said = (this.#said + text).slice(-SAID_CHARACTERS_MAX);
    }
  }
}

/** Returns the environment without settings, which are meant for another node. */
function withoutSettings(environment: Terminal["environment"]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith("CRS_")) kept[name] = value;
  }
  return kept;
}
