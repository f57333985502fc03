/** The attempts of a node to join a cluster: repeated while the next one may succeed. */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { JOIN_MS_MAX, JOIN_RETRY_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { NodeConfig } from "./config.ts";

/** The dependencies of {@link repeatJoin}. */
export interface JoinAttempts {
  readonly config: Pick<NodeConfig, "join">;
  readonly world: World;
  readonly logger: Logger;
  readonly signal?: AbortSignal | undefined;
}

/** Refusals that a retry does not change. */
const FINAL_CODES: ReadonlySet<string> = new Set([
  "invalid_argument",
  "invalid_configuration",
  "wrong_cluster",
  "locked",
  "permission_denied",
  "unauthenticated",
  "tls_failed",
  "unsupported_version",
  "unknown_operation",
  "not_replica",
  "too_large",
]);

/**
 * Calls `attempt` until it succeeds.
 *
 * @param trouble the message that is logged for a failed attempt.
 * @throws RegistryError the refusal; the last error after `JOIN_MS_MAX`; `shutting_down` if `signal` is
 * aborted.
 */
export async function repeatJoin<T>(
  trouble: string,
  attempt: () => Promise<T>,
  { config, world, logger, signal }: JoinAttempts,
): Promise<T> {
  const untilMs = world.monotonic.nowMs() + JOIN_MS_MAX;
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      const error = toRegistryError(cause);
      if (signal?.aborted === true) {
        throw new RegistryError("shutting_down", "The node was stopped while it was joining");
      }
      if (FINAL_CODES.has(error.code) || world.monotonic.nowMs() > untilMs) throw error;
      logger.warn(trouble, { node: config.join, error });
      await new Promise<void>((resolve) => void world.scheduler.after(JOIN_RETRY_MS, resolve));
    }
  }
}
