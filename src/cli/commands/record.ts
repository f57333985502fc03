/** The commands that every kind of record has; the text of each kind is in a file of its own. */
import { type Command, Option } from "commander";
import { kindNamed } from "../../record/kinds.ts";
import type {
  DeregisterFlags,
  DrainFlags,
  KeepFlags,
  ListFlags,
  ReadFlags,
} from "../actions/record_flags.ts";
import type { Fetch } from "../actions/record.ts";
import type { CommandKind } from "../../answers/record_calls.ts";
import type { RecordFlags } from "../record_fields.ts";
import type { RunAction, Shell } from "../shell.ts";
import {
  collect,
  HOME_OPTION,
  newReadCommand,
  newServerCommand,
  REGION_OPTION,
  WRITE_HOME_OPTION,
} from "./options.ts";

/** The texts of the commands of one kind, and their differences from other kinds. */
export interface KindCommands {
  readonly kind: CommandKind;
  /** The name of the kind with its article. */
  readonly one: string;
  /** The description of `register`. */
  readonly register: string;
  readonly examples: {
    readonly register: readonly string[];
    readonly keep: readonly string[];
    readonly list: readonly string[];
    readonly deregister: readonly string[];
  };
  /** An addition to the description of the id that `get` takes. */
  readonly idHint?: string;
  /** Returns how the records are fetched that `list` shows in another order than by id. */
  readonly fetch?: (flags: ListFlags) => Promise<Fetch | undefined>;
  /** Checks an id before a node is asked. @throws CliFailure `invalid_argument`. */
  readonly checkId?: (id: string) => Promise<void>;
}

type Actions = typeof import("../actions/record.ts");

/** Creates the commands of one kind. */
export function recordCommands(commands: KindCommands, shell: Shell, run: RunAction) {
  const { kind, one, examples, idHint = "", checkId, fetch } = commands;
  const { plural } = kindNamed(kind);
  const act = (use: (actions: Actions) => Promise<number>) =>
    run(async () => await use(await import("../actions/record.ts")));
  const onId = (id: string, use: (actions: Actions) => Promise<number>) =>
    act(async (actions) => {
      await checkId?.(id);
      return await use(actions);
    });
  return {
    register: addRecordOptions(
      kind,
      newServerCommand("register", commands.register, examples.register),
    ).action((flags: RecordFlags & KeepFlags) =>
      act((actions) => actions.register(kind, flags, shell))
    ),
    keep: addRecordOptions(
      kind,
      newServerCommand(
        "keep",
        `Registers ${one} and renews it until ^C, then deregisters it. Reports the events of the ` +
          "lease; ends with an error if the lease is lost. With --json each event is one line.",
        examples.keep,
      ),
    ).action((flags: RecordFlags & KeepFlags) =>
      act((actions) => actions.keep(kind, flags, shell))
    ),
    get: newReadCommand("get", `Shows one ${kind}.`, [`${kind} get <id>`])
      .argument("<id>", `UUID of the ${kind}${idHint}`)
      .option(...REGION_OPTION)
      .option(...HOME_OPTION)
      .action((id: string, flags: ReadFlags) =>
        onId(id, (actions) => actions.get(kind, id, flags, shell))
      ),
    list: newReadCommand("list", `Lists the ${plural} of a region, by id.`, examples.list)
      .option("--region <name>", "region (default: that of the node)")
      .option("--limit <count>", `maximum number of ${plural}`)
      .option("--cursor <hex>", "continues a list cut by --limit, which prints the cursor")
      .option("--wide", "shows all columns, whatever the width of the terminal")
      .action((flags: ListFlags) =>
        act(async (actions) => await actions.list(kind, flags, shell, await fetch?.(flags)))
      ),
    drain: newServerCommand(
      "drain",
      `Marks ${one} as draining: it stays registered, but should receive nothing new.`,
      [`${kind} drain <id>`, `${kind} drain <id> --off`],
    )
      .argument("<id>", `UUID of the ${kind}`)
      .option("--off", "marks it as active again")
      .option(...WRITE_HOME_OPTION)
      .action((id: string, flags: DrainFlags) =>
        onId(id, (actions) => actions.drain(kind, id, flags, shell))
      ),
    deregister: newServerCommand(
      "deregister",
      `Removes ${one} now, without waiting for its lease to end.`,
      examples.deregister,
    )
      .argument("<id>", `UUID of the ${kind}`)
      .option(...WRITE_HOME_OPTION)
      .action((id: string, flags: DeregisterFlags) =>
        onId(id, (actions) => actions.deregister(kind, id, flags, shell))
      ),
  };
}

/** Adds the options that describe a record: a file, and the flags of its fields, which override it. */
function addRecordOptions(kind: CommandKind, command: Command): Command {
  command.option(
    "--file <path>",
    "JSON file of the record; - for standard input; flags override it",
  );
  const { sharedFields, ownFields } = kindNamed(kind);
  for (const { type, flags = [] } of [...sharedFields, ...ownFields]) {
    for (const { flag, help } of flags) {
      const option = new Option(flag, help);
      command.addOption(type.form === "labels" ? option.argParser(collect) : option);
    }
  }
  return command
    .option("--no-take-over", "refuses to take the record over from another process")
    .option(...WRITE_HOME_OPTION);
}
