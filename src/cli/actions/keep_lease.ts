/**
 * Keeps one record alive until a signal, then deregisters it, and reports the events of its lease:
 * one line per event on standard output, or with `--json` one object per line. This is the only
 * command whose output is a stream.
 *
 * The command waits out an outage of any length. Before the lease is lost, only repeated refusals
 * by a node, as after a ban, end it.
 */
import { incarnationText } from "../../answers/record_json.ts";
import { RegistryError } from "../../base/errors.ts";
import { KEEP_REMINDER_MS } from "../../base/limits.ts";
import type { KeepOptions, Lease, LeaseEnd, LeaseEvent } from "../../client/mod.ts";
import { formatDuration } from "../duration.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { CliFailure, failureJson } from "../failure.ts";
import { RefusalWatch } from "../refusal_watch.ts";
import { type Connected, type ServerOptions, type Shell, withClient } from "../shell.ts";
import { StopRequest } from "../stop_request.ts";

/** Registers the record under a lease. */
type Begin = (connected: Connected, options: KeepOptions) => Promise<Lease>;

/**
 * Runs until a signal (exit code 0) or until the lease is lost.
 *
 * @throws RegistryError why the record could not be registered, or why the lease was lost.
 */
export async function keepLease(
  flags: ServerOptions,
  shell: Shell,
  begin: Begin,
): Promise<number> {
  const { terminal } = shell;
  const tell = (event: string, text: string, facts: Record<string, unknown>) => {
    terminal.out(flags.json === true ? JSON.stringify({ event, ...facts }) + "\n" : text + "\n");
  };
  const stop = new StopRequest(terminal, () => tell("stopping", "Stopping.", {}));
  const watch = new RefusalWatch();
  const events = new LeaseTeller(tell, flags.json === true);
  try {
    return await withClient(shell, flags, async (connected) => {
      const lease = await begin(connected, {
        onEvent: (event, lease) => {
          events.tell(event, lease.remainingMs);
          watch.lease(event);
        },
      });
      tell(
        "registered",
        `Registered ${lease.kind} ${lease.id}, incarnation ${
          incarnationText(lease.incarnation)
        }. ` +
          "Renewing it until ^C.",
        { kind: lease.kind, id: lease.id, incarnation: lease.incarnation },
      );
      const end = await Promise.race([stop.requested, lease.ended, watch.refused]);
      if (end instanceof RegistryError) throw refusalFailure(lease, end);
      if (end !== undefined) throw lossOf(lease, end);
      await lease.release({ timeoutMs: connected.timeoutMs });
      tell("deregistered", `Deregistered ${lease.kind} ${lease.id}.`, { id: lease.id });
      return EXIT_CODES.success;
    }, (event) => watch.connection(event));
  } finally {
    stop.end();
  }
}

type Tell = (event: string, text: string, facts: Record<string, unknown>) => void;

/** Reports lease events: all of them to a script, only new ones to a person. */
class LeaseTeller {
  readonly #tell: Tell;
  readonly #isForScript: boolean;
  readonly #nowMs: () => number;
  /** Reason why the last renewal failed, and when it was reported. */
  #trouble: { readonly message: string; readonly toldMs: number } | undefined;
  #isTtlOver = false;

  constructor(tell: Tell, isForScript: boolean, nowMs = () => performance.now()) {
    this.#tell = tell;
    this.#isForScript = isForScript;
    this.#nowMs = nowMs;
  }

  /** @param remainingMs remaining lease by this machine's clock. */
  tell(event: LeaseEvent, remainingMs: number): void {
    if (event.kind === "renewal_failed") return this.#failed(event.error, remainingMs);
    this.#trouble = undefined;
    this.#isTtlOver = false;
    tellChange(event, this.#tell);
  }

  #failed(error: RegistryError, remainingMs: number): void {
    const { message } = error;
    const nowMs = this.#nowMs();
    const isOld = this.#trouble?.message === message &&
      nowMs - this.#trouble.toldMs < KEEP_REMINDER_MS;
    if (this.#isForScript || !isOld) {
      this.#trouble = { message, toldMs: nowMs };
      const left = remainingMs > 0 ? `, ${formatDuration(remainingMs)} left` : "";
      const facts = { ...failureJson(error) as Record<string, unknown>, remainingMs };
      const text = `Renewal failed, retrying${left}: ${error.code}, ${message}`;
      this.#tell("renewal_failed", text, facts);
    }
    if (remainingMs > 0 || this.#isTtlOver) return;
    this.#isTtlOver = true;
    this.#tell(
      "ttl_over",
      "The ttl has passed: the record has expired, unless the registry was down too. It is renewed " +
        "or registered again as soon as the registry answers.",
      {},
    );
  }
}

function tellChange(event: LeaseEvent, tell: Tell): void {
  switch (event.kind) {
    case "renewed":
      return tell(event.kind, `Renewed: ${formatDuration(event.remainingMs)} left.`, {
        remainingMs: event.remainingMs,
      });
    case "expired":
      return tell(event.kind, "Expired: registering it again.", {});
    case "recovered": {
      const { incarnation } = event;
      const text = `Registered again, incarnation ${incarnationText(incarnation)}.`;
      return tell(event.kind, text, { incarnation });
    }
    case "renewal_failed":
    case "ended":
      // Failures are reported by #failed; the end is reported once, as the command's result.
      return;
  }
}

function refusalFailure(lease: Lease, error: RegistryError): CliFailure {
  return new CliFailure(
    error.code,
    `The ${lease.kind} ${lease.id} cannot be kept: ${error.message}`,
    {
      advice: "The node refused repeatedly. Ask a controller whether this identity is banned " +
        "or lacks a grant; the record expires after its ttl at the latest.",
      fields: error.fields,
      cause: error,
    },
  );
}

function lossOf(lease: Lease, { reason, error }: LeaseEnd): RegistryError {
  if (error !== undefined) return error;
  const code = reason === "superseded" ? "superseded" : "not_found";
  return new RegistryError(code, `The lease of ${lease.kind} ${lease.id} is lost: ${reason}`);
}
