/** The kinds of settings, and the values that each takes. */
import { ADVERTISED_HOSTS_MAX } from "../base/limits.ts";

/** A whole number in `[min, max]`. */
export interface IntegerSetting {
  /** `bytes` also takes `512MiB`, `2GiB`; `milliseconds` also takes `250ms`, `5s`, `2m`, `24h`. */
  readonly kind: "integer" | "bytes" | "milliseconds";
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** Whether the value must also be a power of two. */
  readonly powerOfTwo?: true;
  readonly description: string;
}

/** One of a fixed set of words. */
export interface ChoiceSetting {
  readonly kind: "choice";
  readonly default: string;
  readonly choices: readonly string[];
  readonly description: string;
}

/** An address to listen on, a path, or a name. */
export interface TextSetting {
  readonly kind:
    | "address"
    | "host"
    | "hosts"
    | "path"
    | "name"
    | "audience"
    | "url"
    | "endpoint"
    | "listen"
    | "pin"
    | "token";
  readonly default: string;
  readonly bytesMax: number;
  readonly description: string;
}

/** A switch: on the command line its flag takes no value. */
export interface FlagSetting {
  readonly kind: "flag";
  readonly default: boolean;
  readonly description: string;
}

/** One setting. */
export type Setting = IntegerSetting | ChoiceSetting | TextSetting | FlagSetting;

/** Describes the values that a setting takes, for help and error messages. */
export function wantedOf(setting: Setting): string {
  switch (setting.kind) {
    case "integer":
      return `${setting.powerOfTwo ? "a power of two" : "an integer"} in ${bounds(setting)}`;
    case "bytes":
      return `bytes in ${bounds(setting)}, such as 512MiB or 2GiB`;
    case "milliseconds":
      return `milliseconds in ${bounds(setting)}, such as 250ms, 5s or 24h`;
    case "choice":
      return `one of ${setting.choices.join(", ")}`;
    case "address":
      return "127.0.0.1, ::1 or localhost; with an authority a literal address of this machine";
    case "host":
      return "localhost or a literal address of this machine; 0.0.0.0 and :: mean all of them";
    case "hosts":
      return `1 to ${ADVERTISED_HOSTS_MAX} addresses or lower-case names, separated by commas`;
    case "path":
      return `a path of 1 to ${setting.bytesMax} bytes`;
    case "flag":
      return "true or false";
    case "endpoint":
      return "host:port, an IPv6 address in brackets";
    case "listen":
      return "host:port, an IPv6 address in brackets; port 0 lets the system choose";
    case "token":
      return "crs-join-… in full, as crs identity join-token node prints it";
    case "pin":
      return "sha256: and 64 hexadecimal digits";
    case "audience":
    case "url":
      return `1 to ${setting.bytesMax} visible ASCII characters`;
    case "name":
      return `1 to ${setting.bytesMax} of a-z, 0-9 and -, a letter or digit first and last`;
  }
}

function bounds(setting: IntegerSetting): string {
  return `[${setting.min}, ${setting.max}]`;
}
