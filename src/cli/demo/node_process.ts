/**
 * The node of a demonstration. It is a separate process, so that the fleet's load does not run in
 * it; it uses a temporary folder and free ports, and its files are removed afterwards.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildCommand } from "../child_command.ts";
import type { Terminal } from "../terminal.ts";

/** A running node. */
export class NodeProcess {
  readonly dataFolder: string;
  readonly #node: ChildCommand;

  private constructor(dataFolder: string, node: ChildCommand) {
    this.dataFolder = dataFolder;
    this.#node = node;
  }

  /**
   * Starts a node and waits until it serves. It runs the same program as this process, `crs`.
   *
   * @throws RegistryError the node's own error; `internal` with the node's output, if it said none.
   */
  static async start({ environment }: Pick<Terminal, "environment">): Promise<NodeProcess> {
    const dataFolder = mkdtempSync(join(tmpdir(), "crs-demo-"));
    const node = new NodeProcess(
      dataFolder,
      new ChildCommand({
        name: "The node of the demonstration",
        command: [
          ...["start", "--data", dataFolder, "--port", "0", "--ops-port", "0"],
          ...["--log-level", "warn"],
        ],
        environment,
      }),
    );
    try {
      await node.#node.ready();
      return node;
    } catch (error) {
      await node.stop();
      throw error;
    }
  }

  /** Stops the node and removes its files. */
  async stop(): Promise<void> {
    await this.#node.stop();
    rmSync(this.dataFolder, { recursive: true, force: true });
  }
}
