/**
 * The node of a demonstration: a process of its own, so that the fleet's load does not sit in it, on
 * a temporary folder and free ports, gone with all its files afterwards. It ends with this process
 * in any case, for it watches its standard input.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryError } from "../../base/errors.ts";
import type { Terminal } from "../terminal.ts";

/** From the start of the process to its first words, ms; it takes well below 1 s. */
const READY_MS_MAX = 15_000;
/** For its end in good order, ms. */
const STOP_MS_MAX = 10_000;
/** Of what it says on standard error, the last characters are kept. */
const SAID_CHARACTERS_MAX = 4_096;

/** A running node. */
export class NodeProcess {
  readonly dataFolder: string;
  readonly #child: Deno.ChildProcess;
  /** What it said, to be told where it fails. */
  #said = "";

  private constructor(dataFolder: string, child: Deno.ChildProcess) {
    this.dataFolder = dataFolder;
    this.#child = child;
    void this.#listen();
  }

  /**
   * Starts a node and waits until it serves. The program is the one that runs, `crs`.
   *
   * @throws RegistryError `internal` with what it said, where it does not.
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
      // ^C is for the demonstration, which ends its node itself.
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

  /** Ends it and removes its files. */
  async stop(): Promise<void> {
    await this.#child.stdin.close();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS_MAX);
    await this.#child.status;
    clearTimeout(timer);
    rmSync(this.dataFolder, { recursive: true, force: true });
  }

  /** Waits for its first words: it prints nothing before it serves. */
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

/** The environment without settings that are meant for another node. */
function withoutSettings(environment: Terminal["environment"]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith("CRS_")) kept[name] = value;
  }
  return kept;
}
