/**
 * Implements `crs cluster drain`, `remove` and `replace`: begins the departure of a node, and shows how it
 * goes until it is over. The cluster carries it on by itself, so the command may be interrupted, and run
 * again to watch the same departure.
 */
import {
  DEPARTURE_GOALS,
  type DepartureGoal,
  type DepartureStatus,
} from "../../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import type { World } from "../../base/world.ts";
import { processWorld } from "../../node/process_world.ts";
import { formatDuration } from "../duration.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { CliFailure, usageFailure } from "../failure.ts";
import { invocation } from "../invocation.ts";
import { nodeNumber } from "../node_name.ts";
import { LiveText } from "../progress.ts";
import { type Connected, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { StopRequest } from "../stop_request.ts";
import type { Terminal } from "../terminal.ts";

/** Flags of the commands, as typed. */
export interface DepartureFlags extends ServerOptions {
  readonly allowFewerReplicas?: boolean;
  /** Whether the node is to stay after all. */
  readonly undo?: boolean;
  /** Of `replace`: the node that takes its place. */
  readonly by?: string;
}

/** The interval between two looks, ms. */
const LOOK_MS = 500;
/** The time for which the cluster may give no answer while the command waits, ms. */
const SILENT_MS_MAX = 30_000;
/** The shortest time between two lines where lines are not redrawn, ms. */
const LINE_MS = 2_000;

/** Begins the departure of a node and waits for its end. */
export async function depart(
  command: "drain" | "remove" | "replace",
  name: string,
  flags: DepartureFlags,
  shell: Shell,
  world: Pick<World, "monotonic" | "scheduler"> = processWorld(),
): Promise<number> {
  const nodeId = nodeNumber(name, "<node>");
  if (flags.undo === true) return await stay(nodeId, flags, shell);
  if (command === "replace" && flags.by === undefined) {
    throw usageFailure("--by <node> is missing", "Name the member that comes in its place.", "by");
  }
  const goal: DepartureGoal = command === "drain" ? "drained" : "removed";
  const successor = flags.by === undefined ? 0 : nodeNumber(flags.by, "--by");
  return await withClient(shell, flags, async ({ client }) => {
    const isFewerAllowed = flags.allowFewerReplicas === true;
    const request = { nodeId, goal: DEPARTURE_GOALS[goal], successor, isFewerAllowed };
    const { departures } = await client.call("depart", request).catch(adviseOnReplicas);
    const { terminal } = shell;
    const stop = new StopRequest(terminal, () => {});
    const progress = new DepartureProgress(terminal, flags, world.monotonic.nowMs());
    const begun = departures.find((departure) => departure.nodeId === nodeId);
    try {
      const isDone = await untilDone({ client, nodeId, goal, progress, stop, world }, begun);
      progress.clear();
      if (!isDone) {
        terminal.err(interruptedText(command, nodeId, terminal));
        return EXIT_CODES.unavailable;
      }
      return await showReply(
        {
          json: { nodeId, state: goal, replicasMoved: begun?.heldAtFirst ?? 0 },
          text: () => doneText(nodeId, goal, terminal),
        },
        flags,
        terminal,
      );
    } finally {
      progress.clear();
      stop.end();
    }
  });
}

/** Names the flag to an operator whose departure would leave too few nodes. */
function adviseOnReplicas(error: unknown): never {
  if (!(error instanceof RegistryError) || error.fields.field !== "isFewerAllowed") throw error;
  const advice = "Add a node first, or say --allow-fewer-replicas.";
  throw new CliFailure(error.code, error.message, { advice, fields: error.fields, cause: error });
}

async function stay(nodeId: number, flags: DepartureFlags, shell: Shell): Promise<number> {
  await withClient(shell, flags, ({ client }) => client.call("stay", { nodeId }));
  const text = `Node ${nodeId} stays: it gets its share of the partitions again.\n`;
  return await showReply(
    { json: { nodeId, state: "stays" }, text: () => text },
    flags,
    shell.terminal,
  );
}

/** The wait for the end of a departure. */
interface Waiting {
  readonly client: Connected["client"];
  readonly nodeId: number;
  readonly goal: DepartureGoal;
  readonly progress: DepartureProgress;
  readonly stop: StopRequest;
  readonly world: Pick<World, "monotonic" | "scheduler">;
}

/**
 * Waits until the departure is over; returns false if the user interrupted it.
 *
 * @throws RegistryError `not_found` if somebody ended the departure; the failure of the last question if
 * there was no answer for long.
 */
async function untilDone(waiting: Waiting, begun: DepartureStatus | undefined): Promise<boolean> {
  const { client, nodeId, goal, progress, stop, world: { monotonic, scheduler } } = waiting;
  let seen = begun;
  let answeredMs = monotonic.nowMs();
  for (;;) {
    if (isOver(seen, goal)) return true;
    if (seen === undefined) throw endedByOther(nodeId);
    progress.show(seen, monotonic.nowMs());
    const pause = new Promise<void>((resolve) => void scheduler.after(LOOK_MS, resolve));
    await Promise.race([pause, stop.requested]);
    if (stop.isRequested) return false;
    try {
      const { departures } = await client.call("listDepartures", {});
      const before: DepartureStatus = seen;
      seen = departures.find((departure) => departure.nodeId === nodeId);
      if (seen === undefined && before.goal === DEPARTURE_GOALS.removed) {
        const { members } = await client.call("clusterStatus", {});
        if (members.every((member) => member.nodeId !== nodeId)) return true;
      }
      answeredMs = monotonic.nowMs();
    } catch (error) {
      // The node that was asked may be the one that departs.
      if (monotonic.nowMs() - answeredMs > SILENT_MS_MAX) throw toRegistryError(error);
    }
  }
}

function isOver(seen: DepartureStatus | undefined, goal: DepartureGoal): boolean {
  if (seen === undefined) return false;
  return goal === "removed" ? !seen.isMember : seen.holds === 0 && !seen.isVoter;
}

function endedByOther(nodeId: number): RegistryError {
  return new RegistryError(
    "not_found",
    `Node ${nodeId} departs no more: somebody ended its departure, and it stays in the cluster`,
  );
}

/** Shows how a departure goes, with an estimate of the time that is left. */
class DepartureProgress {
  readonly #terminal: Terminal;
  readonly #isShown: boolean;
  readonly #beganMs: number;
  readonly #live: LiveText | undefined;
  /** The time of the first look at which replicas moved, and how many were left then. */
  #from: { readonly atMs: number; readonly holds: number } | undefined;
  #lineMs = -Infinity;
  #text = "";

  constructor(terminal: Terminal, { json }: ServerOptions, beganMs: number) {
    this.#terminal = terminal;
    this.#beganMs = beganMs;
    this.#isShown = json !== true;
    this.#live = terminal.isErrTty ? new LiveText(terminal) : undefined;
  }

  show(seen: DepartureStatus, nowMs: number): void {
    if (!this.#isShown) return;
    const text = `Node ${seen.nodeId}: ${this.#stepText(seen, nowMs)}`;
    if (this.#live !== undefined) {
      const elapsed = formatDuration(nowMs - this.#beganMs);
      return this.#live.show(`${text} … ${elapsed}\n`);
    }
    if (text === this.#text || nowMs - this.#lineMs < LINE_MS) return;
    this.#text = text;
    this.#lineMs = nowMs;
    this.#terminal.err(`${text}\n`);
  }

  clear(): void {
    this.#live?.clear();
  }

  #stepText(seen: DepartureStatus, nowMs: number): string {
    const { holds, heldAtFirst, hasHandedOver, isVoter, goal } = seen;
    if (holds === 0 && isVoter) return "group 0 gets another voter in its place";
    if (holds === 0) {
      return goal === DEPARTURE_GOALS.removed ? "it is taken out of the cluster" : "drained";
    }
    const moved = Math.max(0, heldAtFirst - holds);
    if (!hasHandedOver && moved === 0) return "it hands over what it leads";
    return `${moved} of ${Math.max(heldAtFirst, holds)} replicas moved${
      this.#leftText(holds, nowMs)
    }`;
  }

  #leftText(holds: number, nowMs: number): string {
    this.#from ??= { atMs: nowMs, holds };
    const moved = this.#from.holds - holds;
    if (moved <= 0) return "";
    const leftMs = (nowMs - this.#from.atMs) / moved * holds;
    return `, about ${formatDuration(Math.ceil(leftMs / 1_000) * 1_000)} left`;
  }
}

function doneText(nodeId: number, goal: DepartureGoal, { environment }: Terminal): string {
  if (goal === "removed") {
    return `Node ${nodeId} is no member of the cluster any more; its process stops, and its data folder ` +
      "can be deleted.\n";
  }
  const crs = invocation(environment);
  return `Node ${nodeId} is drained: it holds and leads nothing, and gets nothing until it is told to stay.

  ${crs} cluster remove ${nodeId}          # takes it out of the cluster
  ${crs} cluster drain ${nodeId} --undo    # gives it its share again
`;
}

function interruptedText(command: string, nodeId: number, { environment }: Terminal): string {
  const crs = invocation(environment);
  return `Node ${nodeId} goes on departing without this command. To watch it again, run the same command; to ` +
    `end it:\n  ${crs} cluster ${command} ${nodeId} --undo\n` +
    (command === "drain" ? "" : "A node that was removed already cannot come back.\n");
}
