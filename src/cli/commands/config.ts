/** The command `crs config`: shows the settings of a node and their effective values. */
import { CONFIG_FLAG } from "../../node/settings.ts";
import type { CommonOptions } from "../shell.ts";
import { type MakeCommand, newCommand } from "./options.ts";

/** Creates `crs config`. */
export const configCommand: MakeCommand = (shell, run) =>
  newCommand(
    "config",
    "Shows the settings of a node: flag, variable, default, and the value that `crs start` would " +
      "take from the environment and the file. Reports all invalid settings at once.",
    ["config", "config --config crs.json --json"],
  ).option(`--${CONFIG_FLAG} <file>`, "JSON file of settings")
    .action(async (flags: CommonOptions & { readonly config?: string }) => {
      await run(async () => {
        const { showConfig } = await import("../actions/config.ts");
        return await showConfig(flags, shell.terminal);
      });
    });
