/**
 * The command `crs start`: runs a node. Its options are generated from the table of settings, so
 * that flags, variables, file and help never differ.
 */
import { type Command, Option } from "commander";
import { type Setting, wantedOf } from "../../node/setting.ts";
import {
  CONFIG_FLAG,
  CONFIG_VARIABLE,
  flagOf,
  SETTING_KEYS,
  SETTINGS,
  variableOf,
} from "../../node/settings.ts";
import { SVC_REGISTRY } from "../compat/svc_registry.ts";
import type { CommonOptions } from "../shell.ts";
import { collect, type MakeCommand, newCommand } from "./options.ts";

/** Returns the placeholder of a flag's value in help; a switch has none. */
function valueOf({ kind }: Setting): string {
  if (kind === "flag") return "";
  return ` <${kind === "integer" ? "number" : kind}>`;
}

/** Creates `crs start`. */
export const startCommand: MakeCommand = (shell, run) => {
  const command = newCommand(
    "start",
    "Runs a node until it is told to stop. The first start creates the data folder with a " +
      "development identity. SIGINT or SIGTERM drains and closes; a second signal exits at once.",
    [
      "start",
      "start --port 0 --ops-port 0 --data /tmp/registry",
      "start --config crs.json",
    ],
  );
  command.option(
    `--${CONFIG_FLAG} <file>`,
    `JSON file of settings by their keys, such as {"port": 4443} (env: ${CONFIG_VARIABLE})`,
  );
  for (const key of SETTING_KEYS) {
    const setting = SETTINGS[key];
    command.addOption(
      new Option(
        `${flagOf(key)}${valueOf(setting)}`,
        `${setting.description}: ${wantedOf(setting)} ` +
          `(default: ${setting.default}, env: ${variableOf(key)})`,
      ),
    );
  }
  addCompatOptions(command);
  command.option(
    "--accept-data-loss",
    "starts although acknowledged data is missing from the log: that data stays lost, and the " +
      "cluster's generation is raised",
  );
  command.option(
    "--unsafe-recover",
    "when the majority of a cluster is lost for good: shows what may be lost, and after a sentence is typed " +
      "this node continues alone, under a higher generation",
  );
  command.option("--confirm <sentence>", "the sentence of --unsafe-recover, for scripts");
  command.option(
    "--accept-clock-set-back",
    "replaces a trust bundle that was issued in the future, while this machine's clock was ahead; " +
      "certificates of that time are valid once their time has come",
  );
  // For programs that start a node and must not leave it running, such as the demonstration.
  command.addOption(
    new Option(
      "--stop-with-stdin",
      "stops when standard input ends, for example when the parent process dies",
    )
      .hideHelp(),
  );
  return command.action(async (flags: Readonly<Record<string, unknown>> & CommonOptions) => {
    await run(async () => {
      const { startAndWait } = await import("../actions/start.ts");
      return await startAndWait(flags, shell.terminal);
    });
  });
};

/** Adds the settings of another program, and what they need. */
function addCompatOptions(command: Command): void {
  command.addOption(
    new Option(
      "--compat <program>",
      "also takes the settings of another program: BIND, REGISTRY_DB, SIG_THRESHOLD, SIGNER_ALLOWLIST, " +
        "LOG_LEVEL, METRICS_ADDR and AMNESIA, and the flags below",
    ).choices([SVC_REGISTRY]),
  );
  command.option("--bind <host:port>", "with --compat: where HTTP is served, as --http");
  command.option("--db <folder>", "with --compat: the data folder, as --data");
  command.option(
    "--sig-threshold <number>",
    "with --compat: signers that must agree, at the genesis",
  );
  command.option(
    "--allow-signer <id=key>",
    "with --compat: a signer at the genesis; later they must be those of the registry; repeatable",
    collect,
  );
}
