/**
 * Keeps one record alive until a signal, then deregisters it; tells what happens to its lease. For
 * people a line an event on standard output, with `--json` an object a line: the one command whose
 * output is a stream.
 */
import { RegistryError } from "../../base/errors.ts";
import type { KeepOptions, Lease, LeaseEnd, LeaseEvent } from "../../client/mod.ts";
import { formatDuration } from "../duration.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { failureJson } from "../failure.ts";
import { incarnationText } from "../record_view.ts";
import { type Connected, type ServerOptions, type Shell, withClient } from "../shell.ts";
import { StopRequest } from "../stop_request.ts";

/** Registers the record under a lease. */
type Begin = (connected: Connected, options: KeepOptions) => Promise<Lease>;

/**
 * Runs until a signal (exit code 0) or until the lease is lost.
 *
 * @throws RegistryError why it could not be registered, or why the lease was lost.
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
  try {
    return await withClient(shell, flags, async (connected) => {
      const lease = await begin(connected, { onEvent: (event) => tellEvent(event, tell) });
      tell(
        "registered",
        `Registered ${lease.kind} ${lease.id}, incarnation ${
          incarnationText(lease.incarnation)
        }. ` +
          "It is renewed until ^C.",
        { kind: lease.kind, id: lease.id, incarnation: lease.incarnation },
      );
      const end = await Promise.race([stop.requested, lease.ended]);
      if (end !== undefined) throw lossOf(lease, end);
      await lease.release({ timeoutMs: connected.timeoutMs });
      tell("deregistered", `Deregistered ${lease.kind} ${lease.id}.`, { id: lease.id });
      return EXIT_CODES.success;
    });
  } finally {
    stop.end();
  }
}

type Tell = (event: string, text: string, facts: Record<string, unknown>) => void;

function tellEvent(event: LeaseEvent, tell: Tell): void {
  switch (event.kind) {
    case "renewed":
      return tell(event.kind, `Renewed: ${formatDuration(event.remainingMs)} left.`, {
        remainingMs: event.remainingMs,
      });
    case "expired":
      return tell(event.kind, "Expired: it is being registered again.", {});
    case "recovered": {
      const { incarnation } = event;
      const text = `Registered again, incarnation ${incarnationText(incarnation)}.`;
      return tell(event.kind, text, { incarnation });
    }
    case "renewal_failed": {
      const { error } = event;
      const text = `Not renewed, tried again: ${error.code}, ${error.message}`;
      return tell(event.kind, text, failureJson(error) as Record<string, unknown>);
    }
    case "ended":
      // Told once, as the result of the command.
      return;
  }
}

function lossOf(lease: Lease, { reason, error }: LeaseEnd): RegistryError {
  if (error !== undefined) return error;
  const code = reason === "superseded" ? "superseded" : "not_found";
  return new RegistryError(code, `The lease of ${lease.kind} ${lease.id} is lost: ${reason}`);
}
