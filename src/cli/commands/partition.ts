/** The command group `crs partition …`: shows where a partition is. */
import type { Command } from "commander";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { newGroup, newServerCommand } from "./options.ts";

/** Creates `crs partition`. */
export function partitionCommand(shell: Shell, run: RunAction): Command {
  return newGroup("partition", "Shows where a partition is.", [
    newServerCommand(
      "show",
      "Shows the replicas of a partition, as the node of each reports it: which one leads, and how " +
        "far each has applied the log. The exit code is 4 if no node leads it.",
      [
        "partition show a1.example",
        "partition show 6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11",
        "partition show 12",
      ],
    )
      .argument("<domain|id|number>", "a domain, the id of a gateway or agent, or a number")
      .option("--kind <kind>", "the kind of record that has the id: agent (default) or gateway")
      .action(async (what: string, flags: ServerOptions & { readonly kind?: string }) => {
        await run(async () => {
          const { showPartition } = await import("../actions/partition_show.ts");
          return await showPartition(what, flags, shell);
        });
      }),
  ]);
}
