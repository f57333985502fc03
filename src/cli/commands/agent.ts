/** `crs agent …`: what is said to and asked of the registry about agents. */
import type { Command } from "commander";
import type { AgentFlags } from "../record_fields.ts";
import type { DrainFlags, KeepFlags, ListFlags, RegisterFlags } from "../actions/record_flags.ts";
import type { Run, ServerOptions, Shell } from "../shell.ts";
import { addRecordOptions, newGroup, newServerCommand } from "./options.ts";

/** `crs agent`. */
export function agentCommand(shell: Shell, run: Run): Command {
  const act = (use: (actions: Actions) => Promise<number>) =>
    run(async () => await use(await import("../actions/agent.ts")));
  return newGroup("agent", "Registers, resolves, shows and ends agents.", [
    addRecordOptions(newServerCommand(
      "register",
      "Creates an agent, or renews it with new content. Without an id it is made of the domain, so " +
        "that the same agent is the same record. Another process's record is taken over.",
      [
        "agent register --domain a1.example --gateway <id> --ttl 30",
        "agent register --file agent.json",
      ],
    )).option("--gateway <id>", "UUID of the gateway that it is attached to")
      .option("--no-take-over", "refuses to take the record over from another process")
      .action((flags: AgentFlags & RegisterFlags) =>
        act((actions) => actions.register(flags, shell))
      ),
    addRecordOptions(newServerCommand(
      "keep",
      "Registers an agent and renews it until ^C, then deregisters it. Tells what happens to the " +
        "lease; ends with an error when it is lost. With --json each event is one line.",
      ["agent keep --domain a1.example --gateway <id>"],
    )).option("--gateway <id>", "UUID of the gateway that it is attached to")
      .option("--no-take-over", "refuses to take the record over from another process")
      .action((flags: AgentFlags & KeepFlags) => act((actions) => actions.keep(flags, shell))),
    newServerCommand(
      "resolve",
      "Finds the agent of a domain and its gateway, in one answer with a receipt per part.",
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
      .option("--limit <count>", "the most agents to list")
      .option("--cursor <hex>", "continues a list that --limit cut; it is printed there")
      .option("--wide", "all columns, however wide the terminal is")
      .action((flags: ListFlags) => act((actions) => actions.list(flags, shell))),
    newServerCommand("drain", "Says that an agent drains: it stays, but takes nothing new.", [
      "agent drain <id>",
      "agent drain <id> --off",
    ])
      .argument("<id>", "UUID of the agent")
      .option("--off", "it takes new work again")
      .action((id: string, flags: DrainFlags) => act((actions) => actions.drain(id, flags, shell))),
    newServerCommand("deregister", "Removes an agent now, instead of when its lease ends.", [
      "agent deregister <id>",
    ])
      .argument("<id>", "UUID of the agent")
      .action((id: string, flags: ServerOptions) =>
        act((actions) => actions.deregister(id, flags, shell))
      ),
  ]);
}

type Actions = typeof import("../actions/agent.ts");
