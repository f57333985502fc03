/** The command group `crs gateway …`. */
import type { Command } from "commander";
import type { GatewayFlags } from "../record_fields.ts";
import type {
  DeregisterFlags,
  DrainFlags,
  KeepFlags,
  ListFlags,
  RegisterFlags,
} from "../actions/record_flags.ts";
import type { Run, ServerOptions, Shell } from "../shell.ts";
import { addRecordOptions, newGroup, newServerCommand } from "./options.ts";

/** Creates `crs gateway`. */
export function gatewayCommand(shell: Shell, run: Run): Command {
  const act = (use: (actions: Actions) => Promise<number>) =>
    run(async () => await use(await import("../actions/gateway.ts")));
  return newGroup("gateway", "Registers, shows and removes gateways.", [
    addGatewayOptions(newServerCommand(
      "register",
      "Creates a gateway, or renews it with new content. The JSON of --file may use the words " +
        "that gateways send today (gateway_ip, gateway_domain, …). Without --id the id is derived " +
        "from the domain, so that the same gateway has the same record. Another process's record " +
        "is taken over.",
      [
        "gateway register --file examples/gateway.json",
        "gateway register --domain eu.gateway.example --address 192.0.2.10 --port 4000 --ttl 5m",
        "gateway register --file - < gateway.json",
      ],
    )).option("--no-take-over", "refuses to take the record over from another process")
      .action((flags: GatewayFlags & RegisterFlags) =>
        act((actions) => actions.register(flags, shell))
      ),
    addGatewayOptions(newServerCommand(
      "keep",
      "Registers a gateway and renews it until ^C, then deregisters it. Reports the events of the " +
        "lease; ends with an error if the lease is lost. With --json each event is one line.",
      ["gateway keep --file examples/gateway.json"],
    )).option("--no-take-over", "refuses to take the record over from another process")
      .action((flags: GatewayFlags & KeepFlags) => act((actions) => actions.keep(flags, shell))),
    newServerCommand("get", "Shows one gateway.", ["gateway get <id>"])
      .argument("<id>", "UUID of the gateway")
      .action((id: string, flags: ServerOptions) =>
        act((actions) => actions.get(id, flags, shell))
      ),
    newServerCommand("list", "Lists the gateways of a region, by id.", [
      "gateway list --region global",
      "gateway list --free --limit 3 --json",
    ])
      .option("--region <name>", "region (default: that of the node)")
      .option("--limit <count>", "maximum number of gateways")
      .option("--cursor <hex>", "continues a list cut by --limit, which prints the cursor")
      .option("--wide", "shows all columns, whatever the width of the terminal")
      .option("--free", "lists active gateways only, most free capacity first")
      .action((flags: ListFlags & { readonly free?: boolean }) =>
        act((actions) => actions.list(flags, shell))
      ),
    newServerCommand(
      "drain",
      "Marks a gateway as draining: it stays registered, but should receive nothing new.",
      [
        "gateway drain <id>",
        "gateway drain <id> --off",
      ],
    )
      .argument("<id>", "UUID of the gateway")
      .option("--off", "marks it as active again")
      .action((id: string, flags: DrainFlags) => act((actions) => actions.drain(id, flags, shell))),
    newServerCommand("deregister", "Removes a gateway now, without waiting for its lease to end.", [
      "gateway deregister <id>",
      "gateway deregister <id> --with-agents",
    ])
      .argument("<id>", "UUID of the gateway")
      .option("--with-agents", "removes its agents too")
      .action((id: string, flags: DeregisterFlags) =>
        act((actions) => actions.deregister(id, flags, shell))
      ),
  ]);
}

type Actions = typeof import("../actions/gateway.ts");

function addGatewayOptions(command: Command): Command {
  return addRecordOptions(command)
    .option("--wss-port <number>", "port for WebSocket")
    .option("--cpu <cores>", "capacity: cores")
    .option("--memory <MiB>", "capacity: memory")
    .option("--storage <MiB>", "capacity: storage")
    .option("--bandwidth <Mbit/s>", "capacity: bandwidth")
    .option("--connections <count>", "capacity: connections");
}
