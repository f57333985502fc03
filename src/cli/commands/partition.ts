/** The command group `crs partition …`: shows where a partition is, and moves its leadership. */
import type { Command } from "commander";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { newGroup, newServerCommand } from "./options.ts";

/** Creates `crs partition`. */
export function partitionCommand(shell: Shell, run: RunAction): Command {
  return newGroup("partition", "Shows where a partition is, and moves its leadership.", [
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
    newServerCommand(
      "transfer",
      "Hands the leadership of a partition to a node that holds a replica of it, which leads it from " +
        "then on as long as it can. crs cluster rebalance ends such choices.",
      ["partition transfer 12 node-2"],
    )
      .argument("<partition>", "number of the partition, as crs partition show tells it")
      .argument("<node>", "number of the node, or its name, such as node-2")
      .action(async (partition: string, node: string, flags: ServerOptions) => {
        await run(async () => {
          const { transferPartition } = await import("../actions/rebalance.ts");
          return await transferPartition(partition, node, flags, shell);
        });
      }),
  ]);
}
