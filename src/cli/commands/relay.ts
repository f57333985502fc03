/** The command group `crs relay …`: relays, and the agents that are reached through them. */
import type { Command } from "commander";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { newGroup, newReadCommand } from "./options.ts";

type Actions = typeof import("../actions/relay.ts");

/** Creates `crs relay`. */
export function relayCommand(shell: Shell, run: RunAction): Command {
  const act = (use: (actions: Actions) => Promise<number>) =>
    run(async () => await use(await import("../actions/relay.ts")));
  return newGroup("relay", "Shows relays, and the agents placed at them.", [
    newReadCommand("list", "Lists the live relays, by id.", ["relay list", "relay list --json"])
      .action((flags: ServerOptions) => act((actions) => actions.listRelays(flags, shell))),
    newReadCommand("agents", "Lists the live agents of a relay, by id.", ["relay agents r1"])
      .argument("<relay>", "id of the relay")
      .action((relayId: string, flags: ServerOptions) =>
        act((actions) => actions.listAgents(relayId, flags, shell))
      ),
    newReadCommand(
      "placement",
      "Shows the relay through which an agent is reached.",
      ["relay placement a1"],
    )
      .argument("<agent>", "id of the agent")
      .action((agentId: string, flags: ServerOptions) =>
        act((actions) => actions.showPlacement(agentId, flags, shell))
      ),
  ]);
}
