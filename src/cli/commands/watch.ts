/** The command group `crs watch …`: shows changes as they happen. */
import type { Command } from "commander";
import type { RecordKindName } from "../../record/kinds.ts";
import type { RecordWatchFlags, WatchFlags } from "../actions/watch.ts";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { collect, newGroup, newServerCommand } from "./options.ts";

/** Creates `crs watch`. */
export function watchCommand(shell: Shell, run: RunAction): Command {
  return newGroup("watch", "Shows every change as it happens, once and in order, until ^C.", [
    recordWatch("agent", "agents", shell, run),
    recordWatch("gateway", "gateways", shell, run),
    addWatchOptions(newServerCommand(
      "domain",
      "Follows a domain to its agent: shows when it resolves, each change of its agent, and when it " +
        "no longer resolves.",
      ["watch domain a1.example", "watch domain a1.example --with-state --json"],
    ))
      .argument("<domain>", "domain of an agent")
      .action((domain: string, flags: WatchFlags) =>
        run(async () =>
          await (await import("../actions/watch.ts")).watchDomain(domain, flags, shell)
        )
      ),
    newServerCommand(
      "ring",
      "Shows the ring map, and each newer one: partitions, nodes, and how many of them each leads.",
      ["watch ring"],
    ).action((flags: ServerOptions) =>
      run(async () => await (await import("../actions/watch.ts")).watchRing(flags, shell))
    ),
  ]);
}

function recordWatch(
  kind: RecordKindName,
  plural: string,
  shell: Shell,
  run: RunAction,
): Command {
  return addWatchOptions(newServerCommand(
    plural,
    `Shows each change of ${plural}: put, superseded (another process took it over), deregistered, ` +
      "expired, domain_lost. With --json each event is one line with its token; the end of a " +
      "partition's state has none.",
    [
      `watch ${plural} --region eu-1 --label tier=gold`,
      `watch ${plural} --with-state --json`,
      `watch ${plural} --from <token>`,
    ],
  ))
    .option("--region <name>", "only those of this region")
    .option("--label <key=value>", "only those with this label; repeatable", collect)
    .option("--id <uuid>", "only the one with this id; repeatable", collect)
    .action((flags: RecordWatchFlags) =>
      run(async () => await (await import("../actions/watch.ts")).watchRecords(kind, flags, shell))
    );
}

function addWatchOptions(command: Command): Command {
  return command
    .option("--from <token>", "continues behind the event that has this token")
    .option("--with-state", "shows first what there is")
    .option("--before", "shows in --json what each record was before, too")
    .option(
      "--progress [interval]",
      "shows that nothing is missing, at this interval, such as 5s (default: 1s)",
    );
}
