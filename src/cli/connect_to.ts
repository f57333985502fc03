/**
 * The way from the command line to a node: its address and its CA, one QUIC dialer, one client.
 */
import { toRegistryError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { connect } from "../client/mod.ts";
import { processWorld } from "../node/process_world.ts";
import { guardRejections } from "../../transport/guard.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import type { Connected, ServerOptions } from "./shell.ts";
import { findTarget, unreachableFailure } from "./target.ts";
import type { Terminal } from "./terminal.ts";

/** A process that has ended will not answer; its successor, just starting, may. */
const GONE_CONNECT_MS = 500;

/**
 * Connects to the registry that the options mean.
 *
 * @throws RegistryError as `findTarget` and the client's `connect`.
 */
export async function connectTo(options: ServerOptions, terminal: Terminal): Promise<Connected> {
  const { environment } = terminal;
  const target = findTarget(options, environment);
  const { endpoints, trust, timeoutMs, local } = target;
  const world = processWorld();
  // Rejections that only the runtime sees say nothing that a call does not say too.
  const guard = guardRejections(globalThis, () => {});
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const release = async () => {
    await dialer.close();
    guard.remove();
  };
  const isGone = local?.isAlive === false;
  try {
    const client = await connect({
      endpoints,
      trust,
      dialer,
      world,
      options: {
        program: `crs/${VERSION}`,
        timeoutMs,
        connectTimeoutMs: isGone ? Math.min(timeoutMs, GONE_CONNECT_MS) : timeoutMs,
        ...(local === undefined ? {} : { clusterId: local.clusterId }),
      },
    });
    const close = async () => {
      await client.close();
      await release();
    };
    return { client, endpoints, timeoutMs, region: local?.region, close };
  } catch (error) {
    await release();
    throw unreachableFailure(target, environment, toRegistryError(error));
  }
}
