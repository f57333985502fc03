/**
 * Builds the command tree and runs one command: arguments in, exit code out. Every failure,
 * including a misspelt option, is turned into a coded error here and nowhere else.
 */
import { Command, CommanderError } from "commander";
import { VERSION } from "../base/version.ts";
import { agentCommand } from "./commands/agent.ts";
import { backupCommand, restoreCommand } from "./commands/backup.ts";
import { clusterCommand } from "./commands/cluster.ts";
import { configCommand } from "./commands/config.ts";
import { demoCommand } from "./commands/demo.ts";
import { expiryCommand } from "./commands/expiry.ts";
import { frontCommand } from "./commands/front.ts";
import { gatewayCommand } from "./commands/gateway.ts";
import { descriptorCommand, governanceCommand } from "./commands/governance.ts";
import { identityCommand } from "./commands/identity.ts";
import { mapsCommand } from "./commands/maps.ts";
import { partitionCommand } from "./commands/partition.ts";
import { regionCommand } from "./commands/region.ts";
import { relayCommand } from "./commands/relay.ts";
import { startCommand } from "./commands/start.ts";
import { statusCommand } from "./commands/status.ts";
import { watchCommand } from "./commands/watch.ts";
import { walCommand } from "./commands/wal.ts";
import { exitCodeOf } from "./exit_codes.ts";
import { failureJson, failureText, toFailure, usageFailure } from "./failure.ts";
import { jsonDocument, type RunAction, type Shell } from "./shell.ts";

const AFTER_HELP = `
Selecting a registry:
  --server host:port, else CRS_SERVER, else the local node of the data folder (--data, CRS_DATA,
  ./data), else the nodes of the development cluster in ./cluster. A remote server is verified by
  --ca file.pem (CRS_CA) or --pin sha256:… (CRS_PIN).
  A node with an authority requires an identity: --identity folder (CRS_IDENTITY).

Exit codes:
  0  success
  1  internal error: report it
  2  error of the caller: usage, an invalid value, or a conflict with another owner
  3  not found: the registry answered that it has no such record
  4  unavailable: no node, no timely answer, or overloaded

Output:
  Results go to standard output, everything else to standard error. With --json standard output
  is exactly one JSON document, even for an error: {"error": {"code", "message", "advice", …}}.
  keep and watch print one object per line.

Examples:
  crs start
  crs gateway register --file examples/gateway.json
  crs agent register --domain a1.example --gateway <id> --ttl 30
  crs agent resolve a1.example
  crs watch agents
  crs demo`;

/** Runs the command line. @returns the exit code. */
export async function runCli(args: readonly string[], shell: Shell): Promise<number> {
  const { terminal } = shell;
  let exitCode = 0;
  const run: RunAction = async (action) => {
    exitCode = await action();
  };
  let told = "";
  const program = newProgram(shell, (text) => told += text);
  for (const make of COMMANDS) program.addCommand(make(shell, run));
  inheritSettings(program, program.commands);
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // `crs` or `crs gateway` alone: commander printed the help instead of running a command.
    if (error instanceof CommanderError && error.code === "commander.help") {
      terminal.err(told);
      return exitCodeOf("invalid_argument");
    }
    const failure = error instanceof CommanderError
      ? usageMistake(told, program, args)
      : toFailure(error);
    if (args.includes("--json")) terminal.out(jsonDocument(failureJson(failure)));
    terminal.err(failureText(failure));
    return exitCodeOf(failure.code);
  }
}

const COMMANDS: readonly ((shell: Shell, run: RunAction) => Command)[] = [
  startCommand,
  frontCommand,
  gatewayCommand,
  agentCommand,
  watchCommand,
  statusCommand,
  clusterCommand,
  partitionCommand,
  expiryCommand,
  regionCommand,
  relayCommand,
  mapsCommand,
  identityCommand,
  governanceCommand,
  descriptorCommand,
  demoCommand,
  backupCommand,
  restoreCommand,
  walCommand,
  configCommand,
];

function newProgram({ terminal }: Shell, tell: (text: string) => void): Command {
  return new Command("crs")
    .description(
      "The central registry: which agents and gateways are alive, where, and under which identity. " +
        "One command runs a node; the others talk to one.",
    )
    .version(VERSION, "-V, --version", "prints the version")
    // Only before the command: `descriptor get --version 1` is the version of a descriptor.
    .enablePositionalOptions()
    .helpOption("-h, --help", "prints this help")
    .helpCommand(false)
    .usage("<command> [options]")
    .addHelpText("after", AFTER_HELP)
    .configureHelp({ minWidthToWrap: 30 })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: tell,
      getOutHelpWidth: () => helpWidth(terminal.columns),
      getErrHelpWidth: () => helpWidth(terminal.columns),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}

/** Longer lines are hard to read, however wide the terminal is. */
const HELP_COLUMNS_MAX = 100;

function helpWidth(columns: number): number {
  return Math.min(columns, HELP_COLUMNS_MAX);
}

/** Passes the program's output and exit settings on to commands that were created separately. */
function inheritSettings(from: Command, commands: readonly Command[]): void {
  for (const command of commands) {
    command.copyInheritedSettings(from);
    command.helpOption("-h, --help", "prints this help").helpCommand(false);
    inheritSettings(from, command.commands);
  }
}

/** Turns commander's message about invalid arguments into a usage failure. */
function usageMistake(told: string, program: Command, args: readonly string[]) {
  const said = told.replace(/^error: /, "").trim();
  return usageFailure(
    said.charAt(0).toUpperCase() + said.slice(1),
    `See ${commandPath(program, args)} --help.`,
  );
}

/** Returns the path of the intended command, as far as its words are known. */
function commandPath(program: Command, args: readonly string[]): string {
  let command = program;
  let path = program.name();
  for (const argument of args) {
    const next = command.commands.find((other) => other.name() === argument);
    if (next === undefined) break;
    command = next;
    path += ` ${argument}`;
  }
  return path;
}
