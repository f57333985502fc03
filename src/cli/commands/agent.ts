/** The command group `crs agent …`. */
import type { Command } from "commander";
import type { ReadFlags } from "../actions/record_flags.ts";
import type { RunAction, Shell } from "../shell.ts";
import { HOME_OPTION, newGroup, newReadCommand, REGION_OPTION } from "./options.ts";
import { type KindCommands, recordCommands } from "./record.ts";

const AGENT_COMMANDS: KindCommands = {
  kind: "agent",
  one: "an agent",
  register:
    "Creates an agent, or renews it with new content. Without --id the id is derived from " +
    "the domain, so that the same agent has the same record. Another process's record is taken over.",
  examples: {
    register: [
      "agent register --domain a1.example --gateway <id> --ttl 30",
      "agent register --file agent.json",
    ],
    keep: ["agent keep --domain a1.example --gateway <id>"],
    list: ["agent list --region global --limit 20"],
    deregister: ["agent deregister <id>"],
  },
  idHint: "; for a domain see agent resolve",
  checkId: async (id) => (await import("../actions/agent.ts")).checkId(id),
};

/** Creates `crs agent`. */
export function agentCommand(shell: Shell, run: RunAction): Command {
  const { register, keep, get, list, drain, deregister } = recordCommands(
    AGENT_COMMANDS,
    shell,
    run,
  );
  const resolve = newReadCommand(
    "resolve",
    "Resolves a domain to its agent and gateway, in one answer with a receipt for each part.",
    ["agent resolve a1.example", "agent resolve a1.example --max-staleness 100ms --json"],
  ).argument("<domain>", "domain of the agent")
    .option(...REGION_OPTION)
    .option(...HOME_OPTION)
    .action((domain: string, flags: ReadFlags) =>
      run(async () => await (await import("../actions/agent.ts")).resolve(domain, flags, shell))
    );
  return newGroup("agent", "Registers, resolves, shows and removes agents.", [
    register,
    keep,
    resolve,
    get,
    list,
    drain,
    deregister,
  ]);
}
