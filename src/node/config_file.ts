/**
 * The settings file (`--config`, otherwise `CRS_CONFIG`): JSON, read once at the start. If the file
 * cannot be read, that is another mistake in the list of `config.ts`.
 */
import { readBoundedFile } from "../../identity/files/bounded_file.ts";
import { CONFIG_FILE_BYTES_MAX } from "../base/limits.ts";
import { systemAdvice } from "../base/system_error.ts";
import {
  type ConfigMistake,
  type ConfigSources,
  type NodeConfig,
  resolveConfig,
} from "./config.ts";
import { CONFIG_FLAG, CONFIG_VARIABLE } from "./settings.ts";

/**
 * Loads the settings of a node from flags, environment and the file that these name.
 *
 * @throws RegistryError `invalid_configuration` that lists every mistake, one per line.
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
  let text: string;
  try {
    text = readBoundedFile(path, CONFIG_FILE_BYTES_MAX);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const wanted = systemAdvice(error) ?? `a file of at most ${CONFIG_FILE_BYTES_MAX} bytes`;
    return mistake(reason, `a readable file of JSON (${wanted})`);
  }
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return mistake(error instanceof Error ? error.message : String(error), "a file of JSON");
  }
}
