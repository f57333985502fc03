/** A real redis-server, and a bare client to set it up. */
import { Redis } from "ioredis";
import { isListening, type ServerPlan } from "./backend_server.ts";

/** Returns what to start. @param settings further arguments of `redis-server`. */
export function redisPlan(
  program: string,
  settings: readonly string[] = [],
  transport: "tcp" | "tls" = "tcp",
): ServerPlan {
  return {
    program,
    args: (port, folder) => [
      ...transport === "tcp" ? ["--port", `${port}`] : ["--port", "0", "--tls-port", `${port}`],
      ...["--bind", "127.0.0.1", "--dir", folder],
      ...["--save", "", "--appendonly", "no", "--daemonize", "no"],
      // A replica would wait 5 s for others.
      ...["--repl-diskless-sync-delay", "0"],
      ...settings,
    ],
    isReady: transport === "tcp" ? isReady : isListening,
  };
}

/** Runs commands on a connection of their own. */
export async function withRedis<T>(
  port: number,
  use: (redis: Redis) => Promise<T>,
  password?: string,
): Promise<T> {
  const redis = new Redis({
    host: "127.0.0.1",
    port,
    ...password === undefined ? {} : { password },
    lazyConnect: true,
    maxRetriesPerRequest: 1,
  });
  redis.on("error", () => {});
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

/** Reports whether a server answers a PING in any way: one with a password refuses it. */
async function isReady(port: number): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode("PING\r\n"));
    const reply = new Uint8Array(64);
    const length = await connection.read(reply) ?? 0;
    return /^(\+PONG|-NOAUTH)/.test(new TextDecoder().decode(reply.subarray(0, length)));
  } catch {
    return false;
  }
}
