/** The command `crs demo`: runs a node and a fleet as a demonstration. */
import type { DemoFlags } from "../demo/settings.ts";
import { DEMO_BOUNDS } from "../demo/settings.ts";
import { type MakeCommand, newCommand } from "./options.ts";

/** Creates `crs demo`. */
export const demoCommand: MakeCommand = (shell, run) => {
  const { gateways, agents, proxies, seconds, rate } = DEMO_BOUNDS;
  return newCommand(
    "demo",
    "Runs a node in a separate process, with a temporary folder and free ports, and a fleet in " +
      "this one: gateways that keep themselves and their agents alive, and proxies that resolve " +
      "agents. Shows the progress and, at the end, latency percentiles and counts.",
    ["demo", "demo --seconds 5 --agents 500", "demo --rate 0 --json"],
  )
    .option("--seconds <count>", `duration of the run, seconds (default: ${seconds.default})`)
    .option("--gateways <count>", `number of gateways (default: ${gateways.default})`)
    .option(
      "--agents <count>",
      `number of agents, spread over the gateways (default: ${agents.default})`,
    )
    .option(
      "--proxies <count>",
      `number of proxies, each with its own connection (default: ${proxies.default})`,
    )
    .option(
      "--rate <count>",
      `lookups per second of one proxy, 0 for as fast as answers arrive (default: ${rate.default})`,
    )
    .action(async (flags: DemoFlags) => {
      await run(async () => {
        const { runDemo } = await import("../demo/run_demo.ts");
        return await runDemo(flags, shell.terminal);
      });
    });
};
