/**
 * The configuration of a node. Flags override the environment, which overrides the file, which
 * overrides defaults. Every value of every source is checked, even if another source overrides it, and
 * one error lists every mistake, so that all can be corrected at once. This module is pure:
 * `config_file.ts` reads the file, and the caller passes flags and environment.
 */
import { isIP } from "node:net";
import { RegistryError } from "../base/errors.ts";
import { ADVERTISED_HOSTS_MAX, CONFIG_FOUND_CHARACTERS_MAX } from "../base/limits.ts";
import { isLoopbackHost, refusedListenHost } from "../../identity/trust/listen_rule.ts";
import { type FlagSetting, type IntegerSetting, type Setting, wantedOf } from "./setting.ts";
import {
  CONFIG_FLAG,
  flagOf,
  FOREIGN_VARIABLES,
  SETTING_KEYS,
  type SettingKey,
  SETTINGS,
  variableOf,
} from "./settings.ts";
import { hashJoinToken } from "../../identity/enrolment/join_token.ts";
import { parsePin } from "../../identity/pki/certificate.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { isServiceVariable } from "./service_variables.ts";

type ValueOf<S extends Setting> = S extends IntegerSetting ? number
  : S extends FlagSetting ? boolean
  : S extends { readonly kind: "choice"; readonly choices: readonly (infer Choice)[] } ? Choice
  : string;

/** The checked settings of a node, by the keys of the table in `settings.ts`. */
export type NodeConfig = { readonly [Key in SettingKey]: ValueOf<(typeof SETTINGS)[Key]> };

/** The sources of settings, the one with the highest precedence first. */
export interface ConfigSources {
  /** Values by key (`memoryBytesMax`), as text or of the right type; `undefined` if not given. */
  readonly flags: Readonly<Record<string, unknown>>;
  /**
   * The process's environment. Only names that begin with `CRS_` are read, except those that
   * Kubernetes sets for a service.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The parsed file, if there is one. */
  readonly file?: ConfigFile;
  /** Mistakes found earlier, for example in reading the file. */
  readonly mistakes?: readonly ConfigMistake[];
}

/** A settings file, parsed as JSON. */
export interface ConfigFile {
  readonly path: string;
  readonly value: unknown;
}

/** A mistake in the configuration. */
export interface ConfigMistake {
  /** The key of the setting, or the unknown name. */
  readonly setting: string;
  /** The place of the mistake: `--port`, `CRS_PORT`, `file crs.json`. */
  readonly source: string;
  readonly found: string;
  readonly wanted: string;
}

/**
 * Resolves the settings of a node from their sources.
 *
 * @throws RegistryError `invalid_configuration` that lists every mistake, one per line.
 *
 * @example
 * ```ts
 * import { resolveConfig } from "./config.ts";
 *
 * const config = resolveConfig({ flags: { port: "4000" }, environment: { CRS_REGION: "eu-1" } });
 * console.log(config.port, config.region, config.partitions); // 4000 eu-1 1024
 * ```
 */
export function resolveConfig(sources: ConfigSources): NodeConfig {
  const mistakes: ConfigMistake[] = [...sources.mistakes ?? []];
  // In order of precedence, the lowest first: a later source overwrites.
  const values: Record<string, unknown> = {};
  for (const key of SETTING_KEYS) values[key] = SETTINGS[key].default;
  const found: Partial<Record<SettingKey, string>> = {};
  const take = (key: SettingKey, source: string, raw: unknown, typed: boolean) => {
    const value = parseSetting(SETTINGS[key], raw, typed);
    if (value === undefined) {
      mistakes.push({ setting: key, source, found: shown(raw), wanted: wantedOf(SETTINGS[key]) });
    } else {
      values[key] = value;
      found[key] = source;
    }
  };
  takeFile(sources.file, take, mistakes);
  takeEnvironment(sources.environment, take, mistakes);
  takeFlags(sources.flags, take, mistakes);
  const config = values as unknown as NodeConfig;
  const advertises = config.advertise === "" ? "certified" : "advertised";
  const refusedHost = refusedListenHost(
    config.host,
    hasIdentity(config) ? advertises : "development",
  );
  if (refusedHost !== undefined) {
    mistakes.push({
      setting: "host",
      source: found.host ?? "default",
      found: shown(config.host),
      wanted: refusedHost,
    });
  }
  if (config.logBytesHard <= config.logBytesSoft) {
    mistakes.push({
      setting: "logBytesHard",
      source: found.logBytesHard ?? "default",
      found: String(config.logBytesHard),
      wanted: `more than logBytesSoft, which is ${config.logBytesSoft}`,
    });
  }
  if (config.advertise !== "" && !hasIdentity(config)) {
    mistakes.push({
      setting: "advertise",
      source: found.advertise ?? "default",
      found: shown(config.advertise),
      wanted: "none, or an authority: without one, clients must be on this machine",
    });
  }
  if (config.tls === "on" && !hasIdentity(config)) {
    mistakes.push({
      setting: "tls",
      source: found.tls ?? "default",
      found: "on",
      wanted: "off, or an authority: TLS asks clients for certificates, which only one can issue",
    });
  }
  mistakes.push(...clusterMistakes(config, found));
  if (mistakes.length > 0) throw configError(mistakes);
  return config;
}

/** Reports whether the node has an identity that is more than the development identity. */
function hasIdentity({ authority, token }: NodeConfig): boolean {
  return authority !== "" || token !== "";
}

/** Returns the mistakes in the settings of clusters, which depend on each other. */
function clusterMistakes(
  config: NodeConfig,
  found: Partial<Record<SettingKey, string>>,
): ConfigMistake[] {
  const mistakes: ConfigMistake[] = [];
  const wrong = (setting: SettingKey, wanted: string) =>
    mistakes.push({
      setting,
      source: found[setting] ?? "default",
      found: shown(config[setting]),
      wanted,
    });
  if (config.found && config.join !== "") {
    wrong("join", "none with --found: a node creates a cluster or joins one");
  }
  if (config.standby && config.join === "") {
    wrong("standby", "a node to --join: one that founds a cluster holds all of it");
  }
  if (config.token !== "" && config.join === "") {
    wrong("join", "the node to join, as host:port: a join token is for a node that joins");
  }
  if (config.join !== "" && config.authority !== "" && config.token === "") {
    wrong("token", "a join token for a node (crs identity join-token node), besides the authority");
  }
  if (config.join !== "" && config.pin === "") {
    wrong("pin", "the pin of the node to join, as it prints at its start");
  }
  return mistakes;
}

/** Returns one error that lists all mistakes, one per line. */
export function configError(mistakes: readonly ConfigMistake[]): RegistryError {
  const count = mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`;
  const lines = mistakes.map((mistake) =>
    `  ${mistake.source}: found ${mistake.found}, wanted ${mistake.wanted}`
  );
  return new RegistryError(
    "invalid_configuration",
    `The configuration has ${count}:\n${lines.join("\n")}`,
    {
      field: mistakes.map((mistake) => mistake.setting).join(","),
    },
  );
}

type Take = (key: SettingKey, source: string, raw: unknown, typed: boolean) => void;

function takeFile(file: ConfigFile | undefined, take: Take, mistakes: ConfigMistake[]): void {
  if (file === undefined) return;
  const { path, value } = file;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    mistakes.push({
      setting: CONFIG_FLAG,
      source: `file ${path}`,
      found: shown(value),
      wanted: 'a JSON object such as {"port": 4443}',
    });
    return;
  }
  for (const [name, raw] of Object.entries(value)) {
    const source = `file ${path}, ${shown(name)}`;
    if (isKey(name)) take(name, source, raw, true);
    else mistakes.push(unknownSetting(name, source, (key) => key));
  }
}

function takeEnvironment(
  environment: ConfigSources["environment"],
  take: Take,
  mistakes: ConfigMistake[],
): void {
  const keys = new Map(SETTING_KEYS.map((key) => [variableOf(key), key]));
  for (const [name, raw] of Object.entries(environment)) {
    if (!name.startsWith("CRS_") || raw === undefined || FOREIGN_VARIABLES.includes(name)) continue;
    if (isServiceVariable(name, raw)) continue;
    const key = keys.get(name);
    if (key !== undefined) take(key, name, raw, false);
    else mistakes.push(unknownSetting(name, `variable ${name}`, variableOf));
  }
}

function takeFlags(flags: ConfigSources["flags"], take: Take, mistakes: ConfigMistake[]): void {
  for (const [name, raw] of Object.entries(flags)) {
    if (raw === undefined || name === CONFIG_FLAG) continue;
    if (isKey(name)) take(name, flagOf(name), raw, false);
    else mistakes.push(unknownSetting(name, `flag ${name}`, flagOf));
  }
}

function isKey(name: string): name is SettingKey {
  return Object.hasOwn(SETTINGS, name);
}

function unknownSetting(
  name: string,
  source: string,
  nameOf: (key: SettingKey) => string,
): ConfigMistake {
  const letters = (text: string) => text.replace(/^CRS_/, "").replace(/[^a-z]/gi, "").toLowerCase();
  const near = SETTING_KEYS.find((key) => letters(key) === letters(name));
  const wanted = near === undefined
    ? "a setting that `crs start --help` lists"
    : `${nameOf(near)}, if that is meant`;
  return { setting: name, source, found: "an unknown setting", wanted };
}

/** Parses a value; `undefined` if invalid. @param typed whether `raw` is JSON: numbers are not text. */
function parseSetting(
  setting: Setting,
  raw: unknown,
  typed: boolean,
): number | string | boolean | undefined {
  switch (setting.kind) {
    case "flag":
      return typeof raw === "boolean" ? raw : ({ true: true, false: false } as const)[String(raw)];
    case "listen":
      return typeof raw === "string" && parseEndpoint(raw, 0) !== undefined ? raw : undefined;
    case "endpoint":
      return typeof raw === "string" && parseEndpoint(raw) !== undefined ? raw : undefined;
    case "token":
      return typeof raw === "string" && hashJoinToken(raw) !== undefined ? raw : undefined;
    case "pin":
      return typeof raw === "string" && parsePin(raw) !== undefined ? raw : undefined;
    case "integer":
      return inBounds(setting, typed && typeof raw === "string" ? undefined : quantity(raw, {}));
    case "bytes":
      return inBounds(setting, quantity(raw, BYTE_UNITS));
    case "milliseconds":
      return inBounds(setting, quantity(raw, TIME_UNITS));
    case "choice":
      return typeof raw === "string" && setting.choices.includes(raw) ? raw : undefined;
    case "address":
    case "host":
      return typeof raw === "string" && isAddress(raw) ? raw : undefined;
    case "hosts":
      return typeof raw === "string" && areHosts(raw, setting.bytesMax) ? raw : undefined;
    case "path":
      return typeof raw === "string" && isPath(raw, setting.bytesMax) ? raw : undefined;
    case "audience":
    case "url":
      return typeof raw === "string" && isVisibleText(raw, setting.bytesMax) ? raw : undefined;
    case "name":
      return typeof raw === "string" && isName(raw, setting.bytesMax) ? raw : undefined;
  }
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 * 1024,
  GiB: 1024 * 1024 * 1024,
};
const TIME_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

function quantity(raw: unknown, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof raw === "number") return raw;
  if (typeof raw !== "string") return undefined;
  const match = /^(\d{1,16})([A-Za-z]*)$/.exec(raw);
  if (match === null) return undefined;
  const [, digits = "", unit = ""] = match;
  if (unit === "") return Number(digits);
  return Object.hasOwn(units, unit) ? Number(digits) * units[unit]! : undefined;
}

function inBounds(setting: IntegerSetting, value: number | undefined): number | undefined {
  if (value === undefined || !Number.isInteger(value)) return undefined;
  if (value < setting.min || value > setting.max) return undefined;
  if (setting.powerOfTwo && !Number.isInteger(Math.log2(value))) return undefined;
  return value;
}

/** Checks the form only; {@link resolveConfig} checks the address against the authority setting. */
function isAddress(text: string): boolean {
  return isLoopbackHost(text) || isIP(text) !== 0;
}

function areHosts(text: string, bytesMax: number): boolean {
  const hosts = text.split(",");
  return text.length <= bytesMax && hosts.length <= ADVERTISED_HOSTS_MAX &&
    hosts.every((host) => isIP(host) !== 0 || HOST_NAME.test(host));
}

/** Labels of letters, digits and hyphens (RFC 1123 §2.1); all-digit labels would be an address. */
const HOST_NAME =
  /^(?!\d+(\.\d+)*$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/**
 * Parses `host:port`, with an IPv6 address in brackets; undefined if it is neither, or the port is below
 * `portMin`.
 */
export function parseEndpoint(text: string, portMin = 1): Endpoint | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):([0-9]{1,5})$/i.exec(text);
  const [, literal, name, digits] = match ?? [];
  const host = literal ?? name;
  const port = Number(digits);
  if (host === undefined || port < portMin || port > 65_535) return undefined;
  const isHost = literal === undefined
    ? areHosts(host, 255) || host === "localhost"
    : isIP(host) === 6;
  return isHost ? { host, port } : undefined;
}

function isPath(text: string, bytesMax: number): boolean {
  return text !== "" && !text.includes("\0") && new TextEncoder().encode(text).length <= bytesMax;
}

function isVisibleText(text: string, bytesMax: number): boolean {
  return text.length <= bytesMax && /^[!-~]+$/.test(text);
}

function isName(text: string, bytesMax: number): boolean {
  return text.length <= bytesMax && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text);
}

function shown(raw: unknown): string {
  const text = JSON.stringify(raw) ?? String(raw);
  return text.length <= CONFIG_FOUND_CHARACTERS_MAX
    ? text
    : text.slice(0, CONFIG_FOUND_CHARACTERS_MAX) + "…";
}
