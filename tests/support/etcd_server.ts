/** A real etcd of one member. */
import { freePort, isListening, type ServerPlan } from "./backend_server.ts";

/**
 * Returns what to start.
 *
 * @param settings further arguments of `etcd`; for https among them its certificate, which must be valid
 * for `localhost`.
 */
export function etcdPlan(
  program: string,
  settings: readonly string[] = [],
  scheme: "http" | "https" = "http",
): ServerPlan {
  return {
    program,
    args: (port, folder) => {
      const peers = `http://127.0.0.1:${freePort()}`;
      const clients = `${scheme}://127.0.0.1:${port}`;
      return [
        ...["--name", "one", "--data-dir", `${folder}/etcd`, "--unsafe-no-fsync"],
        ...["--listen-client-urls", clients, "--advertise-client-urls", clients],
        ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
        ...["--initial-cluster", `one=${peers}`, "--log-level", "error"],
        ...settings,
      ];
    },
    isReady: scheme === "http" ? isHealthy : isListening,
  };
}

async function isHealthy(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    return (await response.text()).includes('"true"');
  } catch {
    return false;
  }
}
