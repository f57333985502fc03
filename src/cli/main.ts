/**
 * `crs`: the registry's command line. Runs one command and ends with its exit code; see
 * `crs --help`. What a command needs is loaded when it runs, so that help is quick and a node
 * starts fast.
 */
import process from "node:process";
import { shutDebuggerDoor } from "./debugger_door.ts";
import { runCli } from "./program.ts";
import { processTerminal } from "./terminal.ts";

if (import.meta.main) {
  shutDebuggerDoor();
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
