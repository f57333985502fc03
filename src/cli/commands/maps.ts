/** The command group `crs maps …`: gateways and agents of the Maps protocol. */
import type { Command } from "commander";
import type { MapsListFlags } from "../actions/maps.ts";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { newGroup, newReadCommand, newServerCommand } from "./options.ts";

type Actions = typeof import("../actions/maps.ts");

/** Creates `crs maps`. */
export function mapsCommand(shell: Shell, run: RunAction): Command {
  const act = (use: (actions: Actions) => Promise<number>) =>
    run(async () => await use(await import("../actions/maps.ts")));
  const list = (name: string, description: string) =>
    newReadCommand(name, description, [`maps ${name}`, `maps ${name} --region eu-1 --json`])
      .option("--region <name>", "region, as the clients named it (default: global)");
  return newGroup(
    "maps",
    "Shows gateways and agents that registered by the Maps protocol (crs front --grpc).",
    [
      list("gateways", "Lists the live gateways of a region, by the id of their record.")
        .action((flags: MapsListFlags) => act((actions) => actions.listGateways(flags, shell))),
      list("agents", "Lists the live agents of a region, by the id of their record.")
        .action((flags: MapsListFlags) => act((actions) => actions.listAgents(flags, shell))),
      newReadCommand("resolve", "Shows the agent that holds a domain, and its gateway.", [
        "maps resolve a1.example",
      ])
        .argument("<domain>", "domain of the agent")
        .action((domain: string, flags: ServerOptions) =>
          act((actions) => actions.resolve(domain, flags, shell))
        ),
      newServerCommand(
        "remove-agent",
        "Removes the agent that holds a domain, so that another one may register. For controllers; it is " +
          "audited.",
        ["maps remove-agent a1.example"],
      )
        .argument("<domain>", "domain of the agent")
        .action((domain: string, flags: ServerOptions) =>
          act((actions) => actions.removeAgent(domain, flags, shell))
        ),
      newServerCommand(
        "remove-gateway",
        "Removes a gateway and its claim on its endpoint. For controllers; it is audited.",
        ["maps remove-gateway <id>"],
      )
        .argument("<id>", "id of the gateway, 64 hexadecimal digits")
        .action((gatewayId: string, flags: ServerOptions) =>
          act((actions) => actions.removeGateway(gatewayId, flags, shell))
        ),
    ],
  );
}
