/**
 * Options that many commands share, so that one name means one thing everywhere.
 */
import { Command } from "commander";
import type { Run, Shell } from "../shell.ts";

/** What makes a command: see {@link Run}. */
export type MakeCommand = (shell: Shell, run: Run) => Command;

/** A command with `--json`, and with its examples at the end of its help. */
export function newCommand(name: string, description: string, examples: readonly string[]) {
  const command = new Command(name).description(description).summary(firstSentence(description));
  command.option("--json", "prints one JSON document, for scripts");
  return withExamples(command, examples);
}

/** A command that talks to a node. */
export function newServerCommand(name: string, description: string, examples: readonly string[]) {
  return newCommand(name, description, examples)
    .option("--server <host:port>", "node to ask, several with commas (env: CRS_SERVER)")
    .option("--data <folder>", "data folder of a local node (default: ./data, env: CRS_DATA)")
    .option("--ca <file>", "PEM file of the CA by which --server is believed (env: CRS_CA)")
    .option(
      "--pin <sha256>",
      "hash of the certificate by which --server is believed; may be repeated (env: CRS_PIN)",
      collect,
    )
    .option(
      "--identity <folder>",
      "identity to prove, made by crs identity issue (env: CRS_IDENTITY)",
    )
    .option(
      "--use-token-file <path>",
      "file of a token whose grants count beside those of the identity; - for standard input",
    )
    .option(
      "--use-token <token>",
      "the token itself, which other users of this machine see (env: CRS_USE_TOKEN)",
    )
    .option("--tls", "goes by TLS over TCP, where UDP is blocked; needs --identity")
    .option("--timeout <duration>", "time for the answer, such as 500ms or 5 (seconds)");
}

/** A command that only holds others. */
export function newGroup(name: string, description: string, commands: readonly Command[]): Command {
  const group = new Command(name).description(description).usage("<command> [options]");
  for (const command of commands) group.addCommand(command);
  return group;
}

/** What a record is made of: a file, and flags that have the last word. */
export function addRecordOptions(command: Command): Command {
  return command
    .option("--file <path>", "JSON of the record; - for standard input; flags have the last word")
    .option("--id <uuid>", "id (default: made of the domain)")
    .option("--domain <name>", "domain by which it is found")
    .option("--address <ip>", "IPv4 or IPv6 address")
    .option("--port <number>", "port")
    .option("--region <name>", "region (default: that of the file, else of the node)")
    .option("--label <key=value>", "label; may be repeated", collect)
    .option("--credential-hash <hex>", "hash of its credential")
    .option("--ttl <duration>", "lease, 5s to 24h, such as 30 (seconds) or 5m (default: 30s)")
    .option("--draining", "it takes nothing new");
}

/** Gathers an option that may be repeated. */
export function collect(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...earlier ?? [], value];
}

/** What the list of commands shows. */
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
