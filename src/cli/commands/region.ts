/** The command group `crs region …`: the other regions whose records are mirrored here. */
import type { Command } from "commander";
import type { RegionFlags } from "../actions/region.ts";
import type { AcceptFlags } from "../actions/region_status.ts";
import { REGIONS_BOUNDS, type RegionsFlags } from "../regions/settings.ts";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { newGroup, newLocalRun, newServerCommand } from "./options.ts";

type Actions = typeof import("../actions/region.ts");
type StatusActions = typeof import("../actions/region_status.ts");

/** Creates `crs region`. */
export function regionCommand(shell: Shell, run: RunAction): Command {
  const act = (use: (actions: Actions) => Promise<number>) =>
    run(async () => await use(await import("../actions/region.ts")));
  const status = (use: (actions: StatusActions) => Promise<number>) =>
    run(async () => await use(await import("../actions/region_status.ts")));
  const named = (name: "pause" | "resume" | "remove", description: string) =>
    newServerCommand(name, description, [`region ${name} us-1`])
      .argument("<name>", "name of the region")
      .action((region: string, flags: ServerOptions) =>
        act((actions) => actions[name](region, flags, shell))
      );
  return newGroup("region", "Adds and shows the regions whose records are mirrored here.", [
    addSettings(newServerCommand(
      "add",
      "Adds a region whose records are to be mirrored here. Requires a controller. Add this region " +
        "there too, as each region follows the others by itself.",
      ["region add us-1 --servers 192.0.2.7:4443,192.0.2.8:4443 --bundle us-1.bundle"],
    ))
      .argument("<name>", "name of the region, as its cluster has it")
      .action((region: string, flags: RegionFlags) =>
        act((actions) => actions.add(region, flags, shell))
      ),
    addSettings(newServerCommand(
      "set",
      "Changes how a region is reached, trusted and preferred; what is not named stays. Requires a " +
        "controller.",
      ["region set us-1 --preference 10"],
    ))
      .argument("<name>", "name of the region")
      .action((region: string, flags: RegionFlags) =>
        act((actions) => actions.set(region, flags, shell))
      ),
    newServerCommand("list", "Lists the regions, the preferred ones first.", ["region list"])
      .action((flags: ServerOptions) => act((actions) => actions.list(flags, shell))),
    newServerCommand(
      "status",
      "Shows how far the regions are mirrored: up to when, the last contact, what is behind, and what " +
        "was refused. The exit code is 4 if the mirrors of one are suspended.",
      ["region status", "region status us-1"],
    )
      .argument("[name]", "name of the region; all without it")
      .action((region: string | undefined, flags: ServerOptions) =>
        status((actions) => actions.regionStatus(region, flags, shell))
      ),
    newServerCommand(
      "accept-generation",
      "Accepts that a region is another cluster or generation than before, since it was created " +
        "again or restored: its records replace all that were mirrored. Requires a controller.",
      [
        "region accept-generation us-1    # shows what there is to accept",
        "region accept-generation us-1 --cluster <uuid> --generation 2",
      ],
    )
      .argument("<name>", "name of the region")
      .option("--cluster <uuid>", "the cluster that it is")
      .option("--generation <number>", "the generation of that cluster")
      .action((region: string, flags: AcceptFlags) =>
        status((actions) => actions.acceptGeneration(region, flags, shell))
      ),
    named("pause", "Pauses a region: its mirrors stay as they are. Requires a controller."),
    named("resume", "Resumes a paused region. Requires a controller."),
    named("remove", "Removes a region and its mirrors here. Requires a controller."),
    newStart(shell, run),
  ]);
}

function newStart(shell: Shell, run: RunAction): Command {
  const { port, partitions } = REGIONS_BOUNDS;
  return newLocalRun(
    "start",
    "Runs two regions of one node each on this machine until it is told to stop, with a development " +
      "identity. Each follows the other. A node that ends is reported, and not started again.",
    ["region start", "region start --data /tmp/regions"],
  )
    .option("--data <folder>", "folder of the regions' data (default: ./regions)")
    .option(
      "--partitions <count>",
      `number of partitions of a new region (default: ${partitions.default})`,
    )
    .option(
      "--port <number>",
      "UDP port of the first region; that of the other one follows it, then ports between nodes and " +
        `for operators (default: ${port.default})`,
    )
    .action(async (flags: RegionsFlags) => {
      await run(async () => {
        const { runRegions } = await import("../regions/run_regions.ts");
        return await runRegions(flags, shell);
      });
    });
}

function addSettings(command: Command): Command {
  return command
    .option("--servers <host:port,…>", "its nodes, as clients dial them")
    .option("--bundle <file>", "its trust bundle (there: crs identity bundle)")
    .option(
      "--preference <number>",
      "order in which mirrors of several regions answer, the lowest first (default: 100)",
    )
    .option("--bytes-per-second <number>", "what is received from it at most (default: 16 MiB)")
    .option(
      "--log-percent <number>",
      "share of the log's bytes that its mirrors may take (default: 25)",
    );
}
