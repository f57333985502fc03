/** The command `crs front`: serves the registry over HTTP. */
import { Option } from "commander";
import { HTTP_WRITTEN_COUNT_DEFAULT } from "../../base/limits.ts";
import { LOG_LEVELS } from "../../base/logger.ts";
import type { FrontFlags } from "../actions/front.ts";
import { collect, type MakeCommand, newServerCommand } from "./options.ts";

/** Creates `crs front`. */
export const frontCommand: MakeCommand = (shell, run) =>
  newServerCommand(
    "front",
    "Serves the registry over HTTP, as a client of the nodes, until it is told to stop. It acts for its " +
      "callers, who have their own rights; its own identity must be of the role front, or that of " +
      "development.",
    [
      "front --http 127.0.0.1:9402",
      "front --http 127.0.0.1:9402 --server 192.0.2.10:4443 --identity ./front",
    ],
  )
    .requiredOption("--http <host:port>", "address on which HTTP is served; port 0: a free one")
    .option(
      "--http-name <name>",
      "host name by which it is reached, besides localhost and addresses; repeatable",
      collect,
    )
    .option(
      "--tls-certificate <file>",
      "PEM file of its certificate and intermediates: serves HTTPS",
    )
    .option("--tls-key <file>", "PEM file of the key of that certificate, mode 0600")
    .option(
      "--read-cache <count>",
      "descriptors that are kept as they are answered, within 32 MiB " +
        `(default: ${HTTP_WRITTEN_COUNT_DEFAULT})`,
    )
    .option(
      "--insecure-http",
      "serves plain HTTP beyond loopback, where others can read and change what is sent",
    )
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
