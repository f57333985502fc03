/** `crs config`: the settings of a node, and what they come to here. */
import { CONFIG_FLAG } from "../../node/settings.ts";
import type { CommonOptions } from "../shell.ts";
import { type MakeCommand, newCommand } from "./options.ts";

/** `crs config`. */
export const configCommand: MakeCommand = (shell, run) =>
  newCommand(
    "config",
    "Shows the settings of a node: flag, variable, default, and the value that `crs start` would " +
      "take from environment and file here. Lists every mistake in them at once.",
    ["config", "config --config crs.json --json"],
  ).option(`--${CONFIG_FLAG} <file>`, "JSON file of settings")
    .action(async (flags: CommonOptions & { readonly config?: string }) => {
      await run(async () => {
        const { showConfig } = await import("../actions/config.ts");
        return await showConfig(flags, shell.terminal);
      });
    });
