/** `crs status`: what a node tells of itself. */
import type { ServerOptions } from "../shell.ts";
import { type MakeCommand, newServerCommand } from "./options.ts";

/** `crs status`. */
export const statusCommand: MakeCommand = (shell, run) =>
  newServerCommand(
    "status",
    "Shows what a node tells of itself. A node that is not ready is told by exit code 4.",
    ["status", "status --server 127.0.0.1:4443 --ca data/identity/ca.pem"],
  ).action(async (flags: ServerOptions) => {
    await run(async () => {
      const { status } = await import("../actions/status.ts");
      return await status(flags, shell);
    });
  });
