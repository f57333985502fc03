/**
 * The file of settings (`--config`, else `CRS_CONFIG`): JSON, read once at start. What is wrong with
 * the file itself is one more mistake in the one list of `config.ts`.
 */
import { readFileSync, statSync } from "node:fs";
import { CONFIG_FILE_BYTES_MAX } from "../base/limits.ts";
import {
  type ConfigMistake,
  type ConfigSources,
  type NodeConfig,
  resolveConfig,
} from "./config.ts";
import { CONFIG_FLAG, CONFIG_VARIABLE } from "./settings.ts";

/**
 * The settings of a node from flags, environment and the file that these name.
 *
 * @throws RegistryError `invalid_configuration` that lists every mistake, one a line.
 */
export function loadConfig(sources: Pick<ConfigSources, "flags" | "environment">): NodeConfig {
  const flag = sources.flags[CONFIG_FLAG];
  const path = typeof flag === "string" ? flag : sources.environment[CONFIG_VARIABLE];
  if (path === undefined) return resolveConfig(sources);
  const read = readConfigFile(path);
  return resolveConfig(
    "mistake" in read
      ? { ...sources, mistakes: [read.mistake] }
      : { ...sources, file: { path, value: read.value } },
  );
}

function readConfigFile(path: string): { value: unknown } | { mistake: ConfigMistake } {
  const mistake = (found: string, wanted: string) => ({
    mistake: { setting: CONFIG_FLAG, source: `file ${path}`, found, wanted },
  });
  try {
    const { size } = statSync(path);
    if (size > CONFIG_FILE_BYTES_MAX) {
      return mistake(`${size} bytes`, `at most ${CONFIG_FILE_BYTES_MAX}`);
    }
    return { value: JSON.parse(readFileSync(path, "utf8")) as unknown };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return mistake(reason, "a readable file of JSON");
  }
}
