/** The signers in the settings of a node: they begin the governed plane, and later must agree with it. */
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { SIGNERS_AGREE_LOOK_MS, SIGNERS_AGREE_MS_MAX } from "../../base/limits.ts";
import type { MonotonicClock, Scheduler } from "../../base/world.ts";
import type { GovernanceService } from "./governance_service.ts";

/** Signers and threshold in the settings of a node. */
export interface ConfiguredSigners {
  readonly signers: readonly { readonly id: string; readonly publicKey: Uint8Array }[];
  readonly threshold: number;
}

/** The caller of an init by settings, in the audit. */
const SETTINGS_CALLER = "settings of a node";
/** Codes after which it is tried again: the group is placed, or elects its leader. */
const PASSING: readonly string[] = [
  ...["overloaded", "not_leader", "deadline_exceeded", "connection_lost"],
];

/**
 * Begins the governed plane with the signers of the settings if this node leads it, and compares them with
 * the current ones if it has begun. A node that does not hold the plane leaves that to those that do.
 *
 * @throws RegistryError `invalid_configuration` if they do not agree; the last failure to reach the plane if
 * it is not reached in time, such as `not_leader`; `shutting_down` if `signal` is aborted.
 */
export async function agreeOnSigners(
  service: GovernanceService,
  configured: ConfiguredSigners,
  { monotonic, scheduler, signal }: {
    readonly monotonic: MonotonicClock;
    readonly scheduler: Scheduler;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const untilMs = monotonic.nowMs() + SIGNERS_AGREE_MS_MAX;
  for (;;) {
    if (signal?.aborted === true) {
      throw new RegistryError("shutting_down", "The start was ended while signers were compared");
    }
    try {
      const deadlineMs = Math.min(untilMs, monotonic.nowMs() + SIGNERS_AGREE_MS_MAX / 4);
      const status = await service.status(deadlineMs);
      if (status.genesis !== "") return check(status, configured);
      await service.init(
        { ...configured, signers: [...configured.signers] },
        SETTINGS_CALLER,
        deadlineMs,
      );
      return;
    } catch (cause) {
      const error = toRegistryError(cause);
      if (error.code === "not_replica") return;
      if (!PASSING.includes(error.code) || monotonic.nowMs() > untilMs) throw error;
    }
    await new Promise<void>((resolve) => void scheduler.after(SIGNERS_AGREE_LOOK_MS, resolve));
  }
}

type Current = Awaited<ReturnType<GovernanceService["status"]>>;

function check({ signers, threshold }: Current, configured: ConfiguredSigners): void {
  const isListed = (id: string, key: Uint8Array) =>
    signers.some((one) => one.id === id && bytesEqual(one.publicKey as Uint8Array, key));
  const areSame = threshold === configured.threshold &&
    signers.length === configured.signers.length &&
    configured.signers.every(({ id, publicKey }) => isListed(id, publicKey));
  if (areSame) return;
  const current = signers.map(({ id }) => id).join(", ");
  throw new RegistryError(
    "invalid_configuration",
    `The signers and the threshold of the settings must be those of the registry, ${threshold} of ` +
      `${current} with their keys: they are not. Signers are changed by a proposal for @signers; then ` +
      "change the settings",
    { field: "SIGNER_ALLOWLIST" },
  );
}
