/** The command `crs status`: shows the status of a node. */
import type { ServerOptions } from "../shell.ts";
import { type MakeCommand, newServerCommand } from "./options.ts";

/** Creates `crs status`. */
export const statusCommand: MakeCommand = (shell, run) =>
  newServerCommand(
    "status",
    "Shows the status of a node. The exit code is 4 if the node is not ready.",
    ["status", "status --server 127.0.0.1:4443 --ca data/identity/ca.pem"],
  ).action(async (flags: ServerOptions) => {
    await run(async () => {
      const { status } = await import("../actions/status.ts");
      return await status(flags, shell);
    });
  });
