/** The errors of Redis and of the connection to it as errors of the registry. */
import { RegistryError } from "../../base/errors.ts";
import { RELAY_RETRY_MS } from "../../base/limits.ts";
import { excerptOf } from "../foreign_answer.ts";

type Kind = "full" | "busy" | "replica" | "elsewhere" | "disk" | "refused";

/** The first words of Redis' own errors; before version 7, those of scripts have a prefix. */
const KINDS: Readonly<Record<string, Kind>> = {
  OOM: "full",
  LOADING: "busy",
  BUSY: "busy",
  TRYAGAIN: "busy",
  CLUSTERDOWN: "busy",
  MASTERDOWN: "busy",
  "ERR max number of clients": "busy",
  READONLY: "replica",
  MOVED: "elsewhere",
  ASK: "elsewhere",
  MISCONF: "disk",
  NOREPLICAS: "disk",
  NOAUTH: "refused",
  WRONGPASS: "refused",
  NOPERM: "refused",
  "ERR invalid password": "refused",
  "ERR DB index": "refused",
};

/**
 * Returns the error for one of Redis or of its connection. Only the message is kept, as other fields may
 * contain the password.
 *
 * @param name the backend's name.
 */
export function redisRefusal(name: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const words = excerptOf(message);
  if (!(error instanceof Error) || error.name !== "ReplyError") {
    if (/certificate/i.test(words)) {
      return new RegistryError("tls_failed", `${name} is not trusted: ${words}`);
    }
    return new RegistryError("connection_lost", `${name} cannot be reached: ${words}`);
  }
  const retry = { retryAfterMs: RELAY_RETRY_MS };
  switch (kindOf(message)) {
    case "full":
      return new RegistryError("overloaded", `${name} is out of memory: ${words}`, retry);
    case "busy":
      return new RegistryError("overloaded", `${name} is not ready: ${words}`, retry);
    case "replica":
      return new RegistryError("not_leader", `${name} must be the primary: it is a replica`);
    case "elsewhere":
      return new RegistryError(
        "not_leader",
        `${name} must be the node of its cluster that holds the registry's keys: ${words}`,
      );
    case "disk":
      return new RegistryError("storage_unavailable", `${name} accepts no writes: ${words}`);
    case "refused":
      return new RegistryError("invalid_configuration", `${name} refuses access: ${words}`);
    case undefined:
      return new RegistryError("internal", `${name} failed: ${words}`);
  }
}

function kindOf(message: string): Kind | undefined {
  const inScript = message.match(/@user_script: ?\d+: -?(.*)/)?.[1];
  for (const [words, kind] of Object.entries(KINDS)) {
    for (const text of [message, inScript]) if (text?.startsWith(words)) return kind;
  }
  return undefined;
}
