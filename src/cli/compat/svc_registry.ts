/**
 * The settings of svc-registry, as its users have them in their units and charts, in terms of this
 * program. They count only with `--compat svc-registry`: their names are so short that variables of other
 * programs would change a node otherwise.
 */
import { decodeBase64 } from "../../base/base64.ts";
import { HTTP_WRITTEN_COUNT_MAX, SIGNERS_MAX } from "../../base/limits.ts";
import { isSignerId } from "../../governance/signer_set.ts";
import { parseEndpoint } from "../../node/config.ts";
import type { SettingKey } from "../../node/settings.ts";
import type { ConfiguredSigners } from "../../serving/governance/agreed_signers.ts";
import { usageFailure } from "../failure.ts";

/** The value of `--compat`. */
export const SVC_REGISTRY = "svc-registry";

/** Flags of svc-registry, as typed. */
export interface SvcRegistryFlags {
  readonly bind?: string;
  readonly db?: string;
  readonly sigThreshold?: string;
  readonly allowSigner?: readonly string[];
}

/** Its settings, in terms of `crs start`. */
export interface SvcRegistrySettings {
  readonly settings: Readonly<Partial<Record<SettingKey, string>>>;
  /** Where HTTP is served. */
  readonly http: string | undefined;
  /** Undefined: the registry is ungoverned until somebody begins. */
  readonly signers: ConfiguredSigners | undefined;
  /** Whether nothing may be left of the node once it stops. */
  readonly hasAmnesia: boolean;
}

/** Its levels that have other names here. */
const LEVELS: ReadonlyMap<string, string> = new Map([["trace", "debug"], ["warning", "warn"]]);
const ON: readonly string[] = ["1", "true", "on", "yes"];
const OFF: readonly string[] = ["", "0", "false", "off", "no"];

/**
 * Returns the settings of svc-registry; flags come before variables.
 *
 * @throws CliFailure `invalid_argument` that names the flag or the variable.
 */
export function svcRegistrySettings(
  { bind, db, sigThreshold, allowSigner }: SvcRegistryFlags,
  environment: Readonly<Record<string, string | undefined>>,
): SvcRegistrySettings {
  const { BIND, REGISTRY_DB, SIG_THRESHOLD, SIGNER_ALLOWLIST, READ_CACHE_CAP } = environment;
  const { LOG_LEVEL, METRICS_ADDR, AMNESIA } = environment;
  const http = bind ?? BIND;
  if (http !== undefined) endpointOf(http, bind === undefined ? "BIND" : "--bind");
  const metrics = METRICS_ADDR === undefined ? undefined : endpointOf(METRICS_ADDR, "METRICS_ADDR");
  const data = db ?? REGISTRY_DB;
  const level = LOG_LEVEL?.toLowerCase();
  return {
    settings: {
      ...(data === undefined ? {} : { data }),
      ...(level === undefined ? {} : { logLevel: LEVELS.get(level) ?? level }),
      ...(READ_CACHE_CAP === undefined
        ? {}
        : { readCache: countOf(READ_CACHE_CAP, "READ_CACHE_CAP") }),
      ...(metrics === undefined ? {} : { opsHost: metrics.host, opsPort: String(metrics.port) }),
    },
    http,
    signers: signersOf(
      sigThreshold ?? SIG_THRESHOLD,
      allowSigner ?? SIGNER_ALLOWLIST?.split(",").filter((entry) => entry.trim() !== ""),
    ),
    hasAmnesia: switchOf(AMNESIA ?? "", "AMNESIA"),
  };
}

function endpointOf(text: string, name: string) {
  const endpoint = parseEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw wrong(name, "host:port, an IPv6 address in brackets", text);
}

/** Returns a number of descriptors; one above the limit here is the limit. */
function countOf(text: string, name: string): string {
  if (!/^\d{1,15}$/.test(text)) throw wrong(name, "a number of descriptors", text);
  return String(Math.min(Number(text), HTTP_WRITTEN_COUNT_MAX));
}

function switchOf(text: string, name: string): boolean {
  const word = text.trim().toLowerCase();
  if (ON.includes(word) || OFF.includes(word)) return ON.includes(word);
  throw wrong(name, "true or false", text);
}

function signersOf(
  threshold: string | undefined,
  entries: readonly string[] | undefined,
): ConfiguredSigners | undefined {
  if (threshold === undefined && entries === undefined) return undefined;
  const signers = new Map<string, Uint8Array>();
  for (const entry of entries ?? []) {
    const text = entry.trim();
    const at = text.indexOf("=");
    const [id, key] = [text.slice(0, at), decodeBase64(text.slice(at + 1))];
    if (at < 1 || !isSignerId(id) || key?.length !== 32) {
      throw wrong("SIGNER_ALLOWLIST", "entries id=publickey, the key in base64", entry);
    }
    if (signers.has(id)) throw wrong("SIGNER_ALLOWLIST", "each signer once", entry);
    signers.set(id, key);
  }
  if (signers.size === 0 || signers.size > SIGNERS_MAX) {
    throw wrong("SIGNER_ALLOWLIST", `1 to ${SIGNERS_MAX} signers`, String(signers.size));
  }
  const number = Number(threshold);
  if (!/^\d{1,3}$/.test(threshold ?? "") || number < 1 || number > signers.size) {
    throw wrong(
      "SIG_THRESHOLD",
      `1 to ${signers.size}, the number of signers`,
      threshold ?? "none",
    );
  }
  return {
    signers: Array.from(signers, ([id, publicKey]) => ({ id, publicKey })),
    threshold: number,
  };
}

function wrong(name: string, wanted: string, found: string) {
  return usageFailure(
    `${name} must be ${wanted}: found ${JSON.stringify(found.slice(0, 200))}`,
    "Correct the setting of svc-registry, or start without --compat.",
    name,
  );
}
