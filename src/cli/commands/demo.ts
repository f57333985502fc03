/** `crs demo`: a node and a fleet, for people who want to see it work. */
import type { DemoFlags } from "../demo/settings.ts";
import { DEMO_DEFAULTS } from "../demo/settings.ts";
import { type MakeCommand, newCommand } from "./options.ts";

/** `crs demo`. */
export const demoCommand: MakeCommand = (shell, run) => {
  const { gateways, agents, proxies, seconds, rate } = DEMO_DEFAULTS;
  return newCommand(
    "demo",
    "Runs a node of its own, in a process of its own on a temporary folder and free ports, and a " +
      "fleet in this one: gateways that keep themselves and their agents alive, and proxies that " +
      "resolve agents. Shows what happens, and at the end latency percentiles and counts.",
    ["demo", "demo --seconds 5 --agents 500", "demo --rate 0 --json"],
  )
    .option("--seconds <count>", `how long the fleet works (default: ${seconds})`)
    .option("--gateways <count>", `gateways (default: ${gateways})`)
    .option("--agents <count>", `agents, spread over the gateways (default: ${agents})`)
    .option("--proxies <count>", `proxies, each with its own connection (default: ${proxies})`)
    .option(
      "--rate <count>",
      `lookups of one proxy a second, 0: as fast as answers come (default: ${rate})`,
    )
    .action(async (flags: DemoFlags) => {
      await run(async () => {
        const { runDemo } = await import("../demo/run_demo.ts");
        return await runDemo(flags, shell.terminal);
      });
    });
};
