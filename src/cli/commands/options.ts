/** Options shared by many commands, so that a name has the same meaning everywhere. */
import { Command, Option } from "commander";
import { LOG_LEVELS } from "../../base/logger.ts";
import type { RunAction, Shell } from "../shell.ts";

/** A function that creates a command; see {@link RunAction}. */
export type MakeCommand = (shell: Shell, run: RunAction) => Command;

/** Creates a command with `--json`, and with its examples at the end of its help. */
export function newCommand(name: string, description: string, examples: readonly string[]) {
  const command = new Command(name).description(description).summary(firstSentence(description));
  command.option("--json", "prints one JSON document, for scripts");
  return withExamples(command, examples);
}

/** Creates a command that talks to a node. */
export function newServerCommand(name: string, description: string, examples: readonly string[]) {
  return newCommand(name, description, examples)
    .option(
      "--server <host:port>",
      "node to contact; separate several with commas (env: CRS_SERVER)",
    )
    .option(
      "--data <folder>",
      "data folder of a local node or cluster (default: ./data or ./cluster, env: CRS_DATA)",
    )
    .option("--ca <file>", "PEM file of the CA that verifies --server (env: CRS_CA)")
    .option(
      "--pin <sha256>",
      "hash of the certificate of --server; repeatable (env: CRS_PIN)",
      collect,
    )
    .option(
      "--identity <folder>",
      "identity to use, created by crs identity issue (env: CRS_IDENTITY)",
    )
    .option(
      "--use-token-file <path>",
      "file that contains a token with additional grants; - for standard input",
    )
    .option(
      "--use-token <token>",
      "the token itself, which other users of this machine can see (env: CRS_USE_TOKEN)",
    )
    .option("--tls", "uses TLS over TCP, for networks that block UDP; requires --identity")
    .option("--timeout <duration>", "timeout of the command, such as 500ms or 5 (seconds)");
}

/** Creates a command that runs nodes on this machine. */
export function newLocalRun(name: string, description: string, examples: readonly string[]) {
  return newCommand(name, description, examples)
    .addOption(
      new Option("--log-level <level>", "what the nodes log (default: warn)").choices(LOG_LEVELS),
    )
    .addOption(new Option("--stop-with-stdin", "stops when standard input ends").hideHelp());
}

/** Creates a command that reads records, from followers too if the caller accepts an age. */
export function newReadCommand(name: string, description: string, examples: readonly string[]) {
  return newServerCommand(name, description, examples).option(
    "--max-staleness <duration>",
    "accepts an answer of this age, such as 100ms, from any replica that can prove it; " +
      "0 for a linearizable one (default: 0)",
  );
}

/** The option that selects the record of one region. */
export const REGION_OPTION = [
  "--region <name>",
  "shows the own record if it names this region, or the mirror of another one (default: the own " +
  "record, else the best mirror)",
] as const;

/** The option that sends a command to the home of the record. */
export const HOME_OPTION = [
  "--home",
  "asks the region that the record belongs to, instead of its mirror here",
] as const;

/** The option that sends a change to the home of the record. */
export const WRITE_HOME_OPTION = [
  "--home",
  "if the record belongs to another region, goes there",
] as const;

/** Creates a command that only groups others. */
export function newGroup(name: string, description: string, commands: readonly Command[]): Command {
  const group = new Command(name).description(description).usage("<command> [options]");
  for (const command of commands) group.addCommand(command);
  return group;
}

/** Collects the values of an option that may be repeated. */
export function collect(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...earlier ?? [], value];
}

/** Returns the summary shown in the list of commands. */
function firstSentence(description: string): string {
  return /^.*?[.:](?= |$)/s.exec(description)![0].replace(/[.:]$/, "");
}

function withExamples(command: Command, examples: readonly string[]): Command {
  if (examples.length === 0) return command;
  return command.addHelpText(
    "after",
    `\nExample${examples.length > 1 ? "s" : ""}:\n${
      examples.map((line) => `  crs ${line}`).join("\n")
    }`,
  );
}
