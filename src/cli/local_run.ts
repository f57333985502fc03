/**
 * A command that runs nodes on this machine until it is told to stop. A node that ends by itself is
 * reported and not started again, so that its loss can be tried; the others go on.
 */
import { EXIT_CODES } from "./exit_codes.ts";
import { CliFailure } from "./failure.ts";
import { shellWord, startInvocation } from "./invocation.ts";
import type { LocalProcessEvents } from "./local_processes.ts";
import { withProgress } from "./progress.ts";
import { type CommonOptions, jsonDocument } from "./shell.ts";
import { StopRequest } from "./stop_request.ts";
import type { Terminal } from "./terminal.ts";

/** Flags of such a command. */
export interface LocalRunFlags extends CommonOptions {
  readonly stopWithStdin?: boolean;
}

/** Nodes that are run. */
export interface LocalRun<Started> {
  /** The name of the work while they start. */
  readonly starting: string;
  /** The folder of their data. */
  readonly folder: string;
  start(): Promise<Started>;
  stop(): Promise<void>;
  /** Resolves when the last node has ended by itself. */
  readonly allEnded: Promise<void>;
  /** Returns the document that is printed with `--json` once they serve. */
  json(started: Started): unknown;
  /** Tells people what they need once the nodes serve. @param over aborts when the nodes end. */
  tell(started: Started, over: AbortSignal): Promise<void>;
}

/**
 * Runs nodes until a signal. Returns 0 after a requested stop.
 *
 * @throws RegistryError if a node does not start, or `connection_lost` once no node is left.
 */
export async function runLocally<Started>(
  nodes: LocalRun<Started>,
  flags: LocalRunFlags,
  terminal: Terminal,
): Promise<number> {
  const stop = new StopRequest(terminal, () => terminal.err("Stopping all nodes\n"));
  try {
    if (flags.stopWithStdin === true) terminal.onInputEnd(() => stop.request("SIGTERM"));
    const starting = withProgress(terminal, nodes.starting, () => nodes.start());
    // A start that is stopped fails, because its nodes end before they serve; nobody waits for it then.
    starting.catch(() => {});
    const begun = await Promise.race([starting, stop.requested]);
    if (begun === undefined) {
      await nodes.stop();
      return EXIT_CODES.success;
    }
    const end = Promise.race([stop.requested, nodes.allEnded]);
    if (flags.json === true) terminal.out(jsonDocument(nodes.json(begun)));
    else {
      const over = new AbortController();
      void end.then(() => over.abort());
      await Promise.race([nodes.tell(begun, over.signal), end]);
    }
    await end;
    await nodes.stop();
    if (!stop.isRequested) throw noNodeLeft(nodes.folder);
    return EXIT_CODES.success;
  } finally {
    stop.end();
  }
}

/**
 * Returns the reports of nodes for people.
 *
 * @param flagsOf returns the flags of `crs start` of a node; undefined if it was removed from its cluster,
 * and starts no more.
 */
export function reportsTo<Node extends { readonly name: string }>(
  terminal: Terminal,
  flagsOf: (node: Node) => readonly string[] | undefined,
): LocalProcessEvents<Node> {
  return {
    onLine: ({ name }, line) => terminal.err(`${name}  ${line}\n`),
    onDeath: (node, { code, signal, processId }) => {
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      const ended = `${node.name} (process ${processId}) ended ${how}; the others go on.`;
      const flags = flagsOf(node);
      if (flags === undefined) {
        return terminal.err(`${ended} It is no member any more: its data folder can be deleted.\n`);
      }
      const command = [startInvocation(terminal.environment), ...flags.map(shellWord)].join(" ");
      terminal.err(`${ended} To start it again, in another terminal:\n  ${command}\n`);
    },
  };
}

/** Returns the text that names commands to try. */
export function tryNextText(commands: readonly string[], folder: string): string {
  return `Try next, in a second terminal:

${commands.map((command) => `  ${command}\n`).join("")}
Stop all nodes with ^C. Their data stays in ${folder}.
`;
}

function noNodeLeft(folder: string): CliFailure {
  return new CliFailure("connection_lost", "No node is left: all have ended", {
    advice: `Start them again: their data is in ${folder}.`,
  });
}
