/** The command `crs front`: serves the registry over HTTP and gRPC. */
import { type Command, Option } from "commander";
import { HTTP_WRITTEN_COUNT_DEFAULT } from "../../base/limits.ts";
import { LOG_LEVELS } from "../../base/logger.ts";
import type { FrontFlags } from "../actions/front.ts";
import { collect, type MakeCommand, newServerCommand } from "./options.ts";

/** Creates `crs front`. */
export const frontCommand: MakeCommand = (shell, run) => {
  const command = newServerCommand(
    "front",
    "Serves the registry over HTTP, gRPC or both, as a client of the nodes, until it is told to stop. " +
      "It acts for its callers, who have their own rights; its own identity must be of the role front, " +
      "or that of development.",
    [
      "front --http 127.0.0.1:9402",
      "front --grpc 127.0.0.1:50051 --legacy-clients",
      "front --http 127.0.0.1:9402 --server 192.0.2.10:4443 --identity ./front",
    ],
  )
    .option("--http <host:port>", "address on which HTTP is served; port 0: a free one")
    .option(
      "--http-name <name>",
      "host name by which it is reached, besides localhost and addresses; repeatable",
      collect,
    )
    .option("--grpc <host:port>", "address on which gRPC is served; port 0: a free one")
    .option(
      "--tls-certificate <file>",
      "PEM file of its certificate and intermediates, which it never replaces: serves TLS",
    )
    .option("--tls-key <file>", "PEM file of the key of that certificate, mode 0600")
    // As servers are started that relays and gateways know.
    .addOption(new Option("--tls-cert-path <file>", "the same as --tls-certificate").hideHelp())
    .addOption(new Option("--tls-key-path <file>", "the same as --tls-key").hideHelp())
    .option(
      "--read-cache <count>",
      "descriptors that HTTP keeps as they are answered, within 32 MiB " +
        `(default: ${HTTP_WRITTEN_COUNT_DEFAULT})`,
    )
    .option(
      "--insecure-http",
      "serves plain HTTP beyond loopback, where others can read and change what is sent",
    )
    .option(
      "--insecure-grpc",
      "serves plain gRPC beyond loopback, where others can read and change what is sent",
    );
  return addRelayOptions(command)
    .addOption(
      new Option("--log-level <level>", "what is logged (default: info)").choices(LOG_LEVELS),
    )
    .addOption(
      new Option("--stop-with-stdin", "stops when standard input ends, as when the parent dies")
        .hideHelp(),
    )
    .action((flags: FrontFlags) =>
      run(async () => {
        const { frontAndWait } = await import("../actions/front.ts");
        return await frontAndWait(flags, shell);
      })
    );
};

/** Adds the options of the relay registry and of the Maps protocol. */
function addRelayOptions(command: Command): Command {
  return command
    .option(
      "--legacy-clients",
      "serves callers of gRPC that have no identity: whoever reaches the port acts as this front, which " +
        "owns what they register",
    )
    .option(
      "--older-relays",
      "takes heartbeats of agents that do not name their relay, whichever relay holds them",
    )
    .option(
      "--relay-backend <url>",
      "where relays and their agents are kept: cluster, which is this registry, memory:, which is this " +
        "process alone, or redis://, etcd:// or consul://, with TLS rediss, etcds or consuls (default: cluster, " +
        "env: CRS_RELAY_BACKEND)",
    )
    .option(
      "--relay-ttl <duration>",
      "time for which a relay lives without heartbeat (default: 30s)",
    )
    .option("--agent-ttl <duration>", "the same time for an agent (default: 30s)")
    .option(
      "--maps-lease <duration>",
      "time for which a gateway or agent of the Maps protocol lasts after each registration (default: 24h)",
    )
    .option(
      "--grpc-advertise <address:port>",
      "where clients reach gRPC, as GET /seeder tells (default: where it listens)",
    );
}
