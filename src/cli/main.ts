/**
 * `crs`, the registry's command line. Runs one command and exits with its exit code; see `crs
 * --help`. Each command loads its dependencies when it runs, which keeps help and the start of a
 * node fast.
 */
import process from "node:process";
import { ignoreDebuggerSignal } from "./debugger_door.ts";
import { runCli } from "./program.ts";
import { processTerminal } from "./terminal.ts";

if (import.meta.main) {
  ignoreDebuggerSignal();
  const terminal = processTerminal();
  const code = await runCli(process.argv.slice(2), {
    terminal,
    connect: async (options, onConnection) => {
      const { connectTo } = await import("./connect_to.ts");
      return await connectTo(options, terminal, onConnection);
    },
  });
  terminal.exit(code);
}
