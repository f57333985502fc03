/** Shows the settings of a node with their defaults and effective values. */
import { loadConfig } from "../../node/config_file.ts";
import { flagOf, SETTING_KEYS, SETTINGS, variableOf } from "../../node/settings.ts";
import { type CommonOptions, showReply } from "../shell.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

/** Prints the table of settings. */
export async function showConfig(
  flags: CommonOptions & { readonly config?: string },
  terminal: Terminal,
): Promise<number> {
  const { config: file } = flags;
  const values = loadConfig({ flags: { config: file }, environment: terminal.environment });
  const settings = SETTING_KEYS.map((key) => ({
    key,
    value: values[key],
    default: SETTINGS[key].default,
    flag: flagOf(key),
    variable: variableOf(key),
    description: SETTINGS[key].description,
  }));
  const reply = {
    json: { settings },
    text: () =>
      table(
        ["FLAG", "VARIABLE", "VALUE", "DEFAULT"],
        settings.map((setting) => [
          setting.flag,
          setting.variable,
          String(setting.value),
          String(setting.default),
        ]),
      ),
  };
  return await showReply(reply, flags, terminal);
}
