/** The command group `crs expiry …`: what the expiry guard keeps, and how operators steer it. */
import type { Command } from "commander";
import type { HoldFlags, ReleaseFlags } from "../actions/expiry.ts";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { newGroup, newServerCommand } from "./options.ts";

const REGION = ["--region <name>", "the region of the records (default: all regions)"] as const;

/** Creates `crs expiry`. */
export function expiryCommand(shell: Shell, run: RunAction): Command {
  return newGroup("expiry", "Shows and steers the expiry of records whose leases are over.", [
    newServerCommand(
      "status",
      "Shows the records of each region, how many of them are stale, and what is held or released. A " +
        "record is stale when its lease is over and it stays, because many ended at once: it recovers " +
        "when its owner renews it.",
      ["expiry status"],
    ).action(async (flags: ServerOptions) => {
      await run(async () => {
        const { expiryStatus } = await import("../actions/expiry.ts");
        return await expiryStatus(flags, shell);
      });
    }),
    newServerCommand(
      "hold",
      "Lets nothing expire for a time: records whose leases end are kept, marked as stale.",
      ["expiry hold --for 2h", "expiry hold --region eu --for 30m", "expiry hold --undo"],
    )
      .option(...REGION)
      .option("--for <duration>", "time until the hold ends by itself, up to 24h (default: 1h)")
      .option("--undo", "ends the hold")
      .action(async (flags: HoldFlags) => {
        await run(async () => {
          const { holdExpiry } = await import("../actions/expiry.ts");
          return await holdExpiry(flags, shell);
        });
      }),
    newServerCommand(
      "release",
      "Removes the records that are stale now, at once, whatever the budget is, also while all regions are " +
        "held. Ends a hold of the same region.",
      ["expiry release", "expiry release --region eu"],
    )
      .option(...REGION)
      .action(async (flags: ReleaseFlags) => {
        await run(async () => {
          const { releaseStale } = await import("../actions/expiry.ts");
          return await releaseStale(flags, shell);
        });
      }),
  ]);
}
