/**
 * Opens idle sessions to the node of a data folder, announces them in one line, and holds them
 * until it is told to stop.
 *
 *     deno run -A bench/session_load.ts <data folder> <sessions>
 */
import { connectTo, newDialer } from "./registry.ts";

/** Concurrent handshakes: more would only wait for each other. */
const CONCURRENCY = 32;

if (import.meta.main) {
  const [folder = "", sessions = "0"] = Deno.args;
  const dialer = newDialer();
  let left = Number(sessions);
  const opener = async (): Promise<void> => {
    while (left-- > 0) await connectTo(folder, dialer, { inFlightMax: 1 });
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, opener));
  console.log("connected");
  await new Promise<void>((resolve) => Deno.addSignalListener("SIGTERM", () => resolve()));
  await dialer.close();
  Deno.exit(0);
}
