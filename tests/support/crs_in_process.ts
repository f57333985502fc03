/**
 * The command line within the test's own process: the same program over the same connections,
 * without the half second of processor time that starting a process takes. For tests of a node's
 * answers; tests of the process itself (signals, pipes, exit codes) use crs_process.ts.
 */
import { connectTo } from "../../src/cli/connect_to.ts";
import { runCli } from "../../src/cli/program.ts";
import { cleanEnvironment, type CrsResult } from "./crs_process.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** A terminal in memory that reads files from the disk; `-` is the given input. */
class DiskTerminal extends FakeTerminal {
  override readText(path: string): string {
    return path === "-" ? super.readText(path) : Deno.readTextFileSync(path);
  }
}

/** Runs a command to its end. The command must end by itself: a `start` must be refused. */
export async function crsInProcess(
  args: readonly string[],
  { env = {}, input }: {
    readonly env?: Readonly<Record<string, string>>;
    readonly input?: string;
  } = {},
): Promise<CrsResult> {
  const terminal = new DiskTerminal({
    environment: cleanEnvironment(env),
    files: input === undefined ? {} : { "-": input },
  });
  const code = await runCli(args, {
    terminal,
    connect: (options, onConnection) => connectTo(options, terminal, onConnection),
  });
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}
