/** The command group `crs agent …`. */
import type { Command } from "commander";
import type { AgentFlags } from "../record_fields.ts";
import type { DrainFlags, KeepFlags, ListFlags, RegisterFlags } from "../actions/record_flags.ts";
import type { Run, ServerOptions, Shell } from "../shell.ts";
import { addRecordOptions, newGroup, newServerCommand } from "./options.ts";

/** Creates `crs agent`. */
export function agentCommand(shell: Shell, run: Run): Command {
  const act = (use: (actions: Actions) => Promise<number>) =>
    run(async () => await use(await import("../actions/agent.ts")));
  return newGroup("agent", "Registers, resolves, shows and removes agents.", [
    addRecordOptions(newServerCommand(
      "register",
      "Creates an agent, or renews it with new content. Without --id the id is derived from the " +
        "domain, so that the same agent has the same record. Another process's record is taken over.",
      [
        "agent register --domain a1.example --gateway <id> --ttl 30",
        "agent register --file agent.json",
      ],
    )).option("--gateway <id>", "UUID of the gateway to which it is attached")
      .option("--no-take-over", "refuses to take the record over from another process")
      .action((flags: AgentFlags & RegisterFlags) =>
        act((actions) => actions.register(flags, shell))
      ),
    addRecordOptions(newServerCommand(
      "keep",
      "Registers an agent and renews it until ^C, then deregisters it. Reports the events of the " +
        "lease; ends with an error if the lease is lost. With --json each event is one line.",
      ["agent keep --domain a1.example --gateway <id>"],
    )).option("--gateway <id>", "UUID of the gateway to which it is attached")
      .option("--no-take-over", "refuses to take the record over from another process")
      .action((flags: AgentFlags & KeepFlags) => act((actions) => actions.keep(flags, shell))),
    newServerCommand(
      "resolve",
      "Resolves a domain to its agent and gateway, in one answer with a receipt for each part.",
      ["agent resolve a1.example", "agent resolve a1.example --json"],
    ).argument("<domain>", "domain of the agent")
      .action((domain: string, flags: ServerOptions) =>
        act((actions) => actions.resolve(domain, flags, shell))
      ),
    newServerCommand("get", "Shows one agent.", ["agent get <id>"])
      .argument("<id>", "UUID of the agent; for a domain see agent resolve")
      .action((id: string, flags: ServerOptions) =>
        act((actions) => actions.get(id, flags, shell))
      ),
    newServerCommand("list", "Lists the agents of a region, by id.", [
      "agent list --region global --limit 20",
    ])
      .option("--region <name>", "region (default: that of the node)")
      .option("--limit <count>", "maximum number of agents")
      .option("--cursor <hex>", "continues a list cut by --limit, which prints the cursor")
      .option("--wide", "shows all columns, whatever the width of the terminal")
      .action((flags: ListFlags) => act((actions) => actions.list(flags, shell))),
    newServerCommand(
      "drain",
      "Marks an agent as draining: it stays registered, but should receive nothing new.",
      [
        "agent drain <id>",
        "agent drain <id> --off",
      ],
    )
      .argument("<id>", "UUID of the agent")
      .option("--off", "marks it as active again")
      .action((id: string, flags: DrainFlags) => act((actions) => actions.drain(id, flags, shell))),
    newServerCommand("deregister", "Removes an agent now, without waiting for its lease to end.", [
      "agent deregister <id>",
    ])
      .argument("<id>", "UUID of the agent")
      .action((id: string, flags: ServerOptions) =>
        act((actions) => actions.deregister(id, flags, shell))
      ),
  ]);
}

type Actions = typeof import("../actions/agent.ts");
