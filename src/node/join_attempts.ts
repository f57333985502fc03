/** The attempts of a node to join a cluster: repeated while the next one may succeed. */
import { toRegistryError } from "../base/errors.ts";
import { JOIN_MS_MAX, JOIN_RETRY_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import { unlessStopped } from "../replication/assembly/stopped_start.ts";
import type { NodeConfig } from "./config.ts";

/** The dependencies of {@link repeatJoin}. */
export interface JoinAttempts {
  readonly config: Pick<NodeConfig, "join">;
  readonly world: World;
  readonly logger: Logger;
  readonly signal?: AbortSignal | undefined;
}

const ACTIVITY = "joining a cluster";

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
 * @throws RegistryError the refusal; the last error after `JOIN_MS_MAX`; `shutting_down` as
 * soon as `signal` is aborted.
 */
export async function repeatJoin<T>(
  trouble: string,
  attempt: () => Promise<T>,
  { config, world, logger, signal }: JoinAttempts,
): Promise<T> {
  const untilMs = world.monotonic.nowMs() + JOIN_MS_MAX;
  for (;;) {
    try {
      return await unlessStopped(attempt(), signal, ACTIVITY);
    } catch (cause) {
      const error = toRegistryError(cause);
      const isFinal = FINAL_CODES.has(error.code) || signal?.aborted === true;
      if (isFinal || world.monotonic.nowMs() > untilMs) throw error;
      logger.warn(trouble, { node: config.join, error });
    }
    const pause = Promise.withResolvers<void>();
    const timer = world.scheduler.after(JOIN_RETRY_MS, pause.resolve);
    await unlessStopped(pause.promise, signal, ACTIVITY).finally(() => timer.cancel());
  }
}
