/** The command group `crs gateway …`. */
import type { Command } from "commander";
import type { RunAction, Shell } from "../shell.ts";
import { newGroup } from "./options.ts";
import { type KindCommands, recordCommands } from "./record.ts";

const GATEWAY_COMMANDS: KindCommands = {
  kind: "gateway",
  one: "a gateway",
  register:
    "Creates a gateway, or renews it with new content. The JSON of --file may use the words " +
    "that gateways send today (gateway_ip, gateway_domain, …). Without --id the id is derived " +
    "from the domain, so that the same gateway has the same record. Another process's record " +
    "is taken over.",
  examples: {
    register: [
      "gateway register --file examples/gateway.json",
      "gateway register --domain eu.gateway.example --address 192.0.2.10 --port 4000 --ttl 5m",
      "gateway register --file - < gateway.json",
    ],
    keep: ["gateway keep --file examples/gateway.json"],
    list: ["gateway list --region global", "gateway list --free --limit 3 --json"],
    deregister: ["gateway deregister <id>", "gateway deregister <id> --with-agents"],
  },
  fetch: async ({ free }) =>
    free === true ? (await import("../actions/gateway.ts")).fetchFree : undefined,
};

/** Creates `crs gateway`. */
export function gatewayCommand(shell: Shell, run: RunAction): Command {
  const { register, keep, get, list, drain, deregister } = recordCommands(
    GATEWAY_COMMANDS,
    shell,
    run,
  );
  list.option("--free", "lists active gateways only, most free capacity first");
  deregister.option("--with-agents", "removes its agents too");
  return newGroup("gateway", "Registers, shows and removes gateways.", [
    register,
    keep,
    get,
    list,
    drain,
    deregister,
  ]);
}
