/** A real etcd of one member. */
import { freePort, type ServerPlan } from "./backend_server.ts";

/** Returns what to start. @param settings further arguments of `etcd`. */
export function etcdPlan(program: string, settings: readonly string[] = []): ServerPlan {
  return {
    program,
    args: (port, folder) => {
      const peers = `http://127.0.0.1:${freePort()}`;
      const clients = `http://127.0.0.1:${port}`;
      return [
        ...["--name", "one", "--data-dir", `${folder}/etcd`, "--unsafe-no-fsync"],
        ...["--listen-client-urls", clients, "--advertise-client-urls", clients],
        ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
        ...["--initial-cluster", `one=${peers}`, "--log-level", "error"],
        ...settings,
      ];
    },
    isReady: async (port) => {
      try {
        const response = await fetch(`http://127.0.0.1:${port}/health`);
        return (await response.text()).includes('"true"');
      } catch {
        return false;
      }
    },
  };
}
